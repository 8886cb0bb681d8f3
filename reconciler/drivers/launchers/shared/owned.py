"""Units that we start ourselves, from a command line that is ours, with our mark in it."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from reconciler.edge import secret
from reconciler.model.facts import Binary, Fact, Flags, Known, Mark, Unknown
from reconciler.model.log import LogPart
from reconciler.model.onhost.answers import understood
from reconciler.model.onhost.processes import AskFlags, AskProgram, AskTail

if TYPE_CHECKING:
    from reconciler.model.spec import ModelSpec
    from reconciler.ports import Access

SCRUB = ("LLAMA_",)
"""What llama.cpp's programs hear from an environment: flags, a key, and that they are the child of
a router (b10434, b11549)."""

KEEP = ("LLAMA_CACHE", "LLAMA_OFFLINE")
"""What of it says only where downloads are kept, and that there should be none."""


class OwnedUnits:
    """What is known of such units on the host behind `access`.

    Each model has the directory `models/MODEL` there.
    """

    def __init__(self, access: Access) -> None:
        """Use a host."""
        self._access = access

    async def binary(self, model: ModelSpec) -> Fact[Binary]:
        """The program that would be started, or its script where that is what is wrong or newer.

        What is started with a secret cannot be without it.
        """
        binaries = []
        for fact in await self._access.ask([AskProgram(program=name) for name in _programs(model)]):
            if isinstance(fact, Unknown):
                return fact
            binaries.append(Binary.model_validate(fact.value))
        seen = next((one for one in binaries if one.problem), binaries[-1])
        missing = secret.problem(model.command.secrets)
        return Known(seen.model_copy(update={"problem": seen.problem or missing}))

    async def flags(self, model: ModelSpec) -> Fact[Flags]:
        """What the program says of its command line. Source: its `--help`."""
        programs = _programs(model)
        words = model.command.argv[len(programs) :]
        (fact,) = await self._access.ask(
            [AskFlags(program=tuple(programs), words=words, env=model.command.env)]
        )
        return fact if isinstance(fact, Unknown) else Known(Flags.model_validate(fact.value))

    async def log(self, model_name: str, lines: int = 20, after: str = "") -> Fact[LogPart]:
        """The last lines that the unit wrote, or those since `after`."""
        path = f"{_directory(model_name)}/log"
        (fact,) = await self._access.ask([AskTail(path=path, lines=lines, after=after)])
        return understood(fact, LogPart.model_validate, f"the log of {model_name}")

    @staticmethod
    def spawned(model: ModelSpec, mark: Mark) -> dict[str, Any]:
        """What is started of a model, as a Spawned has it; raise Declined without a secret."""
        command, directory = model.command, model.directory
        return {
            "mark": mark,
            "argv": command.argv,
            "env": {**command.env, **secret.read_words(command.secrets)},
            "scrub": SCRUB,
            "keep": KEEP,
            "directory": directory,
            "folders": tuple(posixpath.join(directory, folder) for folder in command.folders),
            "log": f"{directory}/log",
        }


def _directory(model_name: str) -> str:
    """Where a model's own files are, relative to the host directory."""
    return f"models/{model_name}"


def _programs(model: ModelSpec) -> list[str]:
    """The files that must be there to start a model; a relative one is of the model's directory."""
    program, *rest = model.command.argv
    if "/" in program:
        program = posixpath.normpath(posixpath.join(_directory(model.name), program))
    return [program, *(word for word in rest[:1] if word.startswith("/") and word.endswith(".py"))]
