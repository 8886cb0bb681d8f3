"""The setup of an engine whose command line is an operator's, and what in it loses conversations.

Which flags those are, flags.FIXED says of each; tried with llama-server b10434.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from posixpath import basename
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from reconciler.drivers.engines.llama import import_flags
from reconciler.drivers.engines.llama.flags import last_value
from reconciler.drivers.engines.llama.variables import as_flags
from reconciler.model.machine import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reconciler.drivers.engines.llama.launch_config import Setup
    from reconciler.model.given_command import GivenCommand

    Code: TypeAlias = Callable[[str], tuple[str, ...]]
    """What decides, beside weights and flags, what a slot file of a program means."""

FOLDER = "/FOLDER"
_INTERPRETERS = ("python",)


class GivenSetup(NamedTuple):
    """What an engine runs with, and why its conversations are not kept, with what helps.

    `unreachable` is why nothing can be asked of it.
    """

    setup: Setup
    unkept: str = ""
    remedy: str = ""
    unreachable: str = ""


def given_setup(
    command: GivenCommand, claimed: Setup, code: Code, port: int | None = None
) -> GivenSetup:
    """Read a command line; what it does not say is as the inventory claims it.

    `port` is the one that it has to listen on, None where another port leads there.
    """
    flags, problem = _flags(command, claimed)
    if problem:
        return GivenSetup(claimed, problem)
    found = import_flags.adopted(flags, (), command.directory)
    # A folder that the host does not see holds nothing for it: there is only its own then.
    is_seen = bool(found.slots) and is_reached(found.slots, command)
    setup = replace(
        claimed,
        code=code(_program(command, claimed)),
        weights=found.weights or claimed.weights,
        context=found.context,
        parallel=found.parallel or claimed.parallel,
        args=found.args,
        made_from=(),
        slots=found.slots if is_seen else claimed.slots,
        shares=not is_seen,
    )
    kept = _unkept(command, [*_lacking(flags, setup)], found.slots, is_seen)
    return GivenSetup(setup, *kept, _unreachable(command, flags, port))


def lacks(command: GivenCommand, words: Sequence[str]) -> tuple[str, str]:
    """Say that a command line loses conversations without these words, and what to do."""
    added = shlex.join(words)
    return f"its command line has no `{added}`", f"{command.adding}{added}`"


def is_reached(path: str, command: GivenCommand) -> bool:
    """Whether the host has what a unit has at a path."""
    return any(_is_in(path, folder) for folder in command.reached)


def _is_in(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _is_read_only(path: str, command: GivenCommand) -> bool:
    above = [folder for folder in command.reached if _is_in(path, folder)]
    return max(above, key=len, default="") in command.read_only


def _unkept(
    command: GivenCommand, lacking: list[str], slots: str, is_seen: bool
) -> tuple[str, str]:
    if lacking:
        return lacks(command, lacking)
    if not is_seen:
        return f"{slots} lies inside the container", "mount a folder of the host there"
    if _is_read_only(slots, command):
        return f"{slots} is read-only in the container", "mount it without `:ro`"
    if command.user:
        return (
            f"its slot files belong to {command.user}",
            "let it run as the account that reconciler has on that host, or reach that as root",
        )
    return "", ""


def _unreachable(command: GivenCommand, flags: Sequence[str], port: int | None) -> str:
    if command.apart and last_value(flags, "--host", "localhost") in LOOPBACK:
        return f"it listens on the loopback of its own network; {command.adding}--host 0.0.0.0`"
    # Without the flag it is not known: each build has its own default.
    told = last_value(flags, "--port", "")
    if port is None or told in ("", str(port)):
        return ""
    return f"its command line listens on port {told}, and inventory.yaml says `port: {port}`"


def _lacking(flags: Sequence[str], setup: Setup) -> Iterator[str]:
    """Yield the words without which conversations are lost, as they would be added."""
    if not last_value(flags, "--slot-save-path", ""):
        yield from ("--slot-save-path", FOLDER)
    if last_value(flags, "--cache-ram", "") != "0":
        yield from ("--cache-ram", "0")
    if not _is_number(last_value(flags, "--parallel", "")):
        yield from ("--parallel", str(setup.parallel))
    if setup.context is None and last_value(flags, "--fit", "") != "off":
        yield from ("--fit", "off")


def _is_number(text: str) -> bool:
    # 0 and -1 leave the number to the program.
    return text.isdecimal() and int(text) > 0


def _flags(command: GivenCommand, claimed: Setup) -> tuple[list[str], str]:
    """List the flags of a command line, or say why they are not known."""
    if command.problem:
        return [], f"what it runs is not known: {command.problem}"
    program = _program(command, claimed)
    if not program:
        runs, wanted = shlex.join(command.words[:2]), basename(claimed.program[-1])
        return [], f"it runs `{runs} ...`, of which the flags of {wanted} are not known"
    rest = command.words[command.words.index(program) + 1 :]
    return [*as_flags(command.variables), *rest], ""


def _program(command: GivenCommand, claimed: Setup) -> str:
    """Find the word that names the engine's program, "" where another program is started."""
    name = _named(claimed.program)
    is_script = basename(command.words[0] if command.words else "").startswith(_INTERPRETERS)
    words = command.words[: 2 if is_script else 1]
    return next((word for word in words if basename(word).startswith(name)), "")


def _named(program: Sequence[str]) -> str:
    script = program[1:2] if basename(program[0]).startswith(_INTERPRETERS) else ()
    return basename([*script, program[0]][0])
