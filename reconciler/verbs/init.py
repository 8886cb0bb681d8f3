"""Init: look at a machine, write both files for what it serves, and say what is left to do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from reconciler.core.onboarding import candidates, draft_files, takeover
from reconciler.core.onboarding.candidates import Candidate
from reconciler.core.onboarding.draft_files import InitAnswers
from reconciler.errors import Misused, Refused
from reconciler.model import address
from reconciler.model.facts import Fact, Unknown
from reconciler.model.gpu import Gpu
from reconciler.model.machine import ImportedFlags, Machine, Server
from reconciler.model.names import NAME_PATTERN
from reconciler.model.onhost.host import AskMachine
from reconciler.model.spec import Kind
from reconciler.ports import HostReaders, StateFolder
from reconciler.render.documents import InitDocument, NextStep
from reconciler.verbs import machine_probe
from reconciler.verbs import plan as plan_verb
from reconciler.verbs.context import Reader
from reconciler.verbs.result import Outcome

Ask = Callable[[str], str]


class Beginning(Reader, Protocol):
    """Look, read a server's flags, and write the folder of both files."""

    @property
    def folder(self) -> StateFolder:
        """Where both files will be."""

    def adopted(self, server: Server) -> ImportedFlags:
        """Return what the flags of a server say as keys of a model."""


async def run(app: Beginning, ask: Ask | None, to: str | None = None) -> Outcome[InitDocument]:
    """Write both files and plan over them.

    `ask` puts a question to a person, `to` is where ssh goes, here without it.

    Raise Refused when files are there already, or nothing is there to write of; Unreachable;
    Misused.
    """
    app.folder.refuse_taken()
    where = _where(to)
    machine, gpu_problem = await _look(_readers(app, where))
    found = candidates.candidates(machine, {one.pid: app.adopted(one) for one in machine.servers})
    if to is not None and not found:
        raise Refused(
            f"no llama-server listens on {to} and no GGUF file was found there; put one there, then"
            " run this again"
        )
    texts = draft_files.draft(machine, found, _answers(machine, found, ask), gpu_problem, where)
    files = {
        "desired.yaml": texts.desired,
        "inventory.yaml": texts.inventory,
        **takeover.units(found),
    }
    git = app.folder.begin(files)
    steps = takeover.steps(machine, found)
    planned = await plan_verb.run(app, detailed=False)
    document = InitDocument(
        directory=str(app.folder.directory),
        files=tuple(sorted(files)),
        git=git,
        machine=machine,
        models=tuple(one.name for one in found),
        served=tuple(one.name for one in found if one.server is not None),
        notes=tuple(candidates.unseen(machine, found)),
        steps=tuple(NextStep(why=step.why, command=_there(step.command, to)) for step in steps),
        plan=planned.document,
    )
    return Outcome(document)


def _where(to: str | None) -> draft_files.Where:
    """Return which host is meant; an address that makes no name is called gpu-host."""
    if to is None:
        return draft_files.HERE
    user, _, place = to.rpartition("@")
    label = place.partition(".")[0].lower()
    is_name = re.fullmatch(NAME_PATTERN, label) and not label.isdecimal()
    access = {"address": place, "user": user} if user else {"address": place}
    return draft_files.Where(label if is_name else "gpu-host", access)


def _readers(app: Beginning, where: draft_files.Where) -> HostReaders:
    if where.access is None:
        return app.readers(machine_probe.HERE)
    user, machine = where.access.get("user", ""), where.access["address"]
    try:
        address.machine(machine)
        if user:
            address.account(user)
    except ValueError as error:
        found = f"{user}@{machine}".lstrip("@")
        raise Misused(
            f"found --host {found}, expected an address that ssh can go to, such as llm@gpu-box.lan"
        ) from error
    return app.readers(machine_probe.at(where.host, Kind(kind="ssh", options=dict(where.access))))


def _there(command: str, to: str | None) -> str:
    """Return a command as it is typed machine_probe."""
    return command if to is None or not command else f"ssh -t {to} {shlex.quote(command)}"


async def _look(readers: HostReaders) -> tuple[Machine, str]:
    """Return what is here, and why the memory of its accelerators cannot be read, empty when it can; raise Unreachable."""
    machine = await machine_probe.machine(readers.access, AskMachine())
    gpu: Fact[Gpu] = await readers.gpu.gpu()
    return machine, gpu.reason if isinstance(gpu, Unknown) else ""


def _answers(machine: Machine, found: Sequence[Candidate], ask: Ask | None) -> InitAnswers:
    """Return what a person says about what could not be seen."""
    if ask is None or not found:
        return InitAnswers()
    serves = any(one.server is not None for one in found)
    program = (
        ""
        if serves or machine.programs
        else ask(f"Where is {draft_files.PROGRAM}? Its path, or nothing to say it later: ")
    )
    return InitAnswers(
        None if serves else _active([one.name for one in found], ask),
        str(Path(program).expanduser()) if program else "",
    )


def _active(names: Sequence[str], ask: Ask) -> tuple[str, ...] | None:
    listed = "".join(f"  {number}  {name}\n" for number, name in enumerate(names, start=1))
    by_word = {
        **{str(number): name for number, name in enumerate(names, start=1)},
        **{name: name for name in names},
    }
    while word := ask(
        f"{listed}Which of these shall run? Its number or name, or nothing to run none: "
    ):
        if word in by_word:
            return (by_word[word],)
    return None
