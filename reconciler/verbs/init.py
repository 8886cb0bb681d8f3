"""Init: look at this machine, write both files for what it serves, and say what is left to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from reconciler.core import drafting, takeover
from reconciler.core.drafting import Answers, Candidate
from reconciler.model.facts import Fact, Gpu, Unknown
from reconciler.model.machine import Adopted, Machine, Server
from reconciler.model.onhost import AskMachine
from reconciler.ports import HostReaders, StateFolder
from reconciler.verbs import here
from reconciler.verbs import plan as plan_verb
from reconciler.verbs.given import Looking
from reconciler.verbs.outcome import Outcome

Ask = Callable[[str], str]


class Beginning(Looking, Protocol):
    """Look, read a server's flags, and write the folder of both files."""

    @property
    def folder(self) -> StateFolder:
        """Return where both files will be."""

    def adopted(self, server: Server) -> Adopted:
        """Return what the flags of a server say as keys of a model."""


def run(app: Beginning, ask: Ask | None) -> Outcome:
    """Write both files and plan over them; `ask` puts a question to a person. Raise Refused when files are there already."""
    app.folder.refuse_taken()
    machine, gpu_problem = app.run(_look, app.readers(here.HERE))
    found = drafting.candidates(machine, {one.pid: app.adopted(one) for one in machine.servers})
    texts = drafting.draft(machine, found, _answers(machine, found, ask), gpu_problem)
    files = {"desired.yaml": texts.desired, "inventory.yaml": texts.inventory, **takeover.units(found)}
    git = app.folder.begin(files)
    document = {
        "version": 1,
        "directory": str(app.folder.directory),
        "files": sorted(files),
        "git": git,
        "machine": machine.model_dump(mode="json"),
        "models": [one.name for one in found],
        "steps": [step._asdict() for step in takeover.steps(machine, found)],
        "plan": plan_verb.run(app, detailed=False).document,
    }
    return Outcome(document)


async def _look(readers: HostReaders) -> tuple[Machine, str]:
    """Return what is here, and why the memory of its accelerators cannot be read, empty when it can; raise Unreachable."""
    machine = await here.machine(readers.access, AskMachine())
    gpu: Fact[Gpu] = await readers.gpu.gpu()
    return machine, gpu.reason if isinstance(gpu, Unknown) else ""


def _answers(machine: Machine, found: Sequence[Candidate], ask: Ask | None) -> Answers:
    """Return what a person says about what could not be seen."""
    if ask is None or not found:
        return Answers()
    serves = any(one.server is not None for one in found)
    program = "" if serves or machine.programs else ask(f"Where is {drafting.PROGRAM}? Its path, or nothing to say it later: ")
    return Answers(
        None if serves else _active([one.name for one in found], ask), str(Path(program).expanduser()) if program else ""
    )


def _active(names: Sequence[str], ask: Ask) -> tuple[str, ...] | None:
    listed = "".join(f"  {number}  {name}\n" for number, name in enumerate(names, start=1))
    by_word = {**{str(number): name for number, name in enumerate(names, start=1)}, **{name: name for name in names}}
    while word := ask(f"{listed}Which of these shall run? Its number or name, or nothing to run none: "):
        if word in by_word:
            return (by_word[word],)
    return None
