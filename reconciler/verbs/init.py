"""Init: write both files for what a machine serves, and say what is left to do."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from reconciler.core.onboarding import candidates, draft_files, takeover
from reconciler.core.onboarding.candidates import Candidate
from reconciler.core.onboarding.draft_files import InitAnswers
from reconciler.errors import Refused
from reconciler.model.machine import ImportedFlags, Machine, Server
from reconciler.model.onhost.host import AskMachine
from reconciler.ports import StateFolder
from reconciler.render.documents import InitDocument, NextStep
from reconciler.verbs import new_host
from reconciler.verbs import plan as plan_verb
from reconciler.verbs.context import Reader
from reconciler.verbs.result import Outcome

Ask = Callable[[str], str]


class Beginning(Reader, Protocol):
    """What init is given: to look, to read a server's flags, and the folder of both files."""

    @property
    def folder(self) -> StateFolder:
        """Where both files will be."""

    def adopted(self, server: Server) -> ImportedFlags:
        """Read the flags of a server as keys of a model."""


async def run(app: Beginning, ask: Ask | None, to: str | None = None) -> Outcome[InitDocument]:
    """Write both files and plan over them.

    `ask` puts a question to a person, `to` is where ssh goes, None for this machine.

    Raise Refused when files are there already, or nothing is there to write of; Unreachable;
    Misused.
    """
    app.folder.refuse_taken()
    where = new_host.where(to)
    machine, gpu_problem = await new_host.look(new_host.readers(app, where), AskMachine())
    found = candidates.candidates(machine, {one.pid: app.adopted(one) for one in machine.servers})
    # Elsewhere the demo's models would have nothing to run with.
    if to is not None and not found:
        raise Refused(
            f"no llama-server listens on {to} and no GGUF file was found there; put one there, then"
            " run this again"
        )
    texts = draft_files.draft(machine, found, _answers(machine, found, ask), gpu_problem, where)
    files = _files(texts, takeover.units(found))
    git = app.folder.begin(files)
    planned = await plan_verb.run(app, detailed=False)
    document = InitDocument(
        directory=str(app.folder.directory),
        files=tuple(sorted(files)),
        git=git,
        machine=machine,
        models=tuple(one.name for one in found),
        served=tuple(one.name for one in found if one.server is not None),
        notes=tuple(candidates.unseen(machine, found)),
        steps=tuple(_there(step, to) for step in takeover.steps(machine, found)),
        plan=planned.document,
    )
    return Outcome(document)


def _files(texts: draft_files.FileDrafts, units: Mapping[str, str]) -> dict[str, str]:
    return {"desired.yaml": texts.desired, "inventory.yaml": texts.inventory, **units}


def _there(step: takeover.TakeoverStep, to: str | None) -> NextStep:
    """Write a step as it is typed here."""
    elsewhere = to is not None and step.command
    command = f"ssh -t {to} {shlex.quote(step.command)}" if elsewhere else step.command
    return NextStep(why=step.why, command=command)


def _answers(machine: Machine, found: Sequence[Candidate], ask: Ask | None) -> InitAnswers:
    """Ask a person about what could not be seen."""
    if ask is None or not found or any(one.server is not None for one in found):
        return InitAnswers()
    program = "" if machine.programs else _program(ask)
    return InitAnswers(_active([one.name for one in found], ask), program)


def _program(ask: Ask) -> str:
    program = ask(f"Where is {draft_files.PROGRAM}? Its path, or Enter to set it later: ")
    return str(Path(program).expanduser()) if program else ""


def _active(names: Sequence[str], ask: Ask) -> tuple[str, ...] | None:
    numbered = {str(number): name for number, name in enumerate(names, start=1)}
    listed = "".join(f"  {number}  {name}\n" for number, name in numbered.items())
    question = f"{listed}Which of these should run? Number or name, or Enter for none: "
    by_word = {**numbered, **{name: name for name in names}}
    while word := ask(question):
        if word in by_word:
            return (by_word[word],)
    return None
