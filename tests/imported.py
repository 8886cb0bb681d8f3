"""Imported: sources as `import` reads them, with the files that come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.config import compose_file
from reconciler.config.source import FileSource
from reconciler.core.importing import candidates_of
from reconciler.core.importing.compose import compose
from reconciler.core.onboarding.draft_files import InitAnswers, Where, draft
from reconciler.drivers import DriverCatalog
from reconciler.drivers.engines.llamacpp import adopted, as_flags
from reconciler.edge.clock import SystemClock
from reconciler.model.found_container import ContainerFile, FoundContainer
from tests.machines import machine
from tests.rules.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.core.importing.candidates_of import Report
    from reconciler.core.importing.imported import Imported
    from reconciler.model.machine import Machine
    from reconciler.model.spec import ModelSpec

FIXTURES = ROOT / "tests" / "imports"
SOCKET = "/var/run/docker.sock"
GEMMA = ("-m", "/models/gemma.gguf", "-c", "8192", "--slot-save-path", "/slots")


def container(**changed: Any) -> FoundContainer:
    fields: dict[str, Any] = {
        "name": "gemma", "socket": SOCKET, "runtime": "docker",
        "image": "llama.cpp:server", "running": False,
        "serves": True, "flags": GEMMA, "variables": (), "network": "host", "port": 8080,
        "files": (ContainerFile(inside="/models/gemma.gguf", outside="/srv/gemma.gguf"),),
        "policy": "no", "removed": False,
    }  # fmt: skip
    return FoundContainer(**{**fields, **changed})


def reported(imported: Imported, seen: Machine) -> Report:
    said = {one.name: adopted(one.server) for one in imported.units}
    return candidates_of.report(imported, seen, said)


def of_compose(path: Path, seen: Machine | None = None, **variables: str) -> Report:
    """Import a compose file of a machine."""
    seen = seen or machine()
    return reported(compose(compose_file.read(str(path), variables), seen, as_flags), seen)


def read_back(report: Report, folder: Path) -> dict[str, ModelSpec]:
    """Write both files, and read the models that they name."""
    texts = draft(machine(), report.models, InitAnswers(), "", Where(by="reconciler import x"))
    for part, text in texts._asdict().items():
        (folder / f"{part}.yaml").write_text(text)
    (slice_,) = FileSource(folder, DriverCatalog("", SystemClock())).read().slices.values()
    return {one.name: one for one in slice_.models}


def rows(report: Report) -> set[tuple[str, str, str]]:
    """What became of what, and where it stands in its file."""
    return {(row.where.rpartition("/")[2], row.key, row.became) for row in report.rows}
