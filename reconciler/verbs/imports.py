"""Import: write both files for what a host runs already, and say what became of everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from reconciler.core.importing import candidates_of, compose, containers, services, weights_folder
from reconciler.core.importing.candidates_of import Report
from reconciler.core.importing.imported import Imported
from reconciler.core.onboarding import draft_files
from reconciler.core.onboarding.draft_files import InitAnswers
from reconciler.model.compose_text import ComposeText
from reconciler.model.machine import ImportedFlags, Machine, Server, WeightsFile
from reconciler.model.onhost.host import AskMachine
from reconciler.ports import AccessReader, StateFolder
from reconciler.render.documents import ImportDocument
from reconciler.verbs import machine_probe, new_host
from reconciler.verbs import plan as plan_verb
from reconciler.verbs.context import Reader
from reconciler.verbs.result import ERROR, OK, Outcome


class Importing(Reader, Protocol):
    """What import is given: to look, to read flags, and the folder of both files."""

    @property
    def folder(self) -> StateFolder:
        """Where both files will be."""

    def adopted(self, server: Server) -> ImportedFlags:
        """Read the flags of a server as keys of a model."""

    def as_flags(self, variables: Mapping[str, str]) -> tuple[str, ...]:
        """Write variables of llama-server as its flags."""

    def compose(self, path: str) -> ComposeText:
        """Read a compose file and what belongs to it; raise ConfigError."""


class ImportWords(NamedTuple):
    """A source by its kind, with the file or folder that it is read from, and where ssh goes."""

    source: str
    path: str = ""
    to: str | None = None

    @property
    def shown(self) -> str:
        """It as it is typed."""
        return " ".join(filter(None, ("reconciler import", self.source, self.path)))


async def run(app: Importing, words: ImportWords) -> Outcome[ImportDocument]:
    """Write both files and plan over them; exit 1 and write nothing where no model was found.

    Raise Refused when files are there already; Unreachable; Misused.
    """
    app.folder.refuse_taken()
    where = new_host.where(words.to, words.shown)
    readers = new_host.readers(app, where)
    machine, gpu_problem = await new_host.look(readers, _question(words))
    report = await _report(app, words, readers.access, machine)
    if not report.models:
        return Outcome(_document(app, words, report), ERROR)
    # What else is there is not of this source.
    seen = {"servers": (), "weights": _of_source(words, machine)}
    texts = draft_files.draft(
        machine.model_copy(update=seen), report.models, InitAnswers(), gpu_problem, where
    )
    files = {"desired.yaml": texts.desired, "inventory.yaml": texts.inventory}
    git = app.folder.begin(files)
    planned = await plan_verb.run(app, detailed=False)
    written = {"files": tuple(sorted(files)), "git": git, "plan": planned.document}
    return Outcome(_document(app, words, report).model_copy(update=written), OK)


def _question(words: ImportWords) -> AskMachine:
    return AskMachine(places=(words.path,) if words.source == "gguf-dir" else ())


def _of_source(words: ImportWords, machine: Machine) -> tuple[WeightsFile, ...]:
    """List the weights that a folder holds; what a unit names is in its own entry."""
    if words.source != "gguf-dir":
        return ()
    return tuple(one for one in machine.weights if one.path.startswith(f"{words.path}/"))


async def _report(
    app: Importing, words: ImportWords, access: AccessReader, machine: Machine
) -> Report:
    if words.source == "gguf-dir":
        return weights_folder.report(machine, _of_source(words, machine), words.path)
    imported = await _imported(app, words, access, machine)
    said = {one.name: app.adopted(one.server) for one in imported.units}
    return candidates_of.report(imported, machine, said)


async def _imported(
    app: Importing, words: ImportWords, access: AccessReader, machine: Machine
) -> Imported:
    if words.source == "compose":
        return compose.compose(app.compose(words.path), machine, app.as_flags)
    if words.source == "systemd":
        found = await machine_probe.services(access)
        return services.services(found, machine, app.as_flags)
    return containers.containers(machine)


def _document(app: Importing, words: ImportWords, report: Report) -> ImportDocument:
    return ImportDocument(
        source=words.shown,
        directory=str(app.folder.directory),
        files=(),
        git="nothing was written",
        models=tuple(one.name for one in report.models),
        served=tuple(one.name for one in report.models if one.serves),
        rows=report.rows,
    )
