"""Candidates of an import: its units by their names, with what became of what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from reconciler.core.importing.imported import DOWNLOADS, Imported, ImportedUnit, of_download
from reconciler.core.onboarding import model_names
from reconciler.core.onboarding.candidates import Candidate, file_at
from reconciler.model.importing import ImportRow
from reconciler.model.machine import ImportedFlags, Machine


class Report(NamedTuple):
    """The models that can be written, and a row for everything that was looked at."""

    models: tuple[Candidate, ...]
    rows: tuple[ImportRow, ...]


def report(imported: Imported, machine: Machine, said: Mapping[str, ImportedFlags]) -> Report:
    """Name the units that are models; `said` has what the flags of each say, by its name."""
    written = [one for one in imported.units if said[one.name].weights]
    names = model_names.distinct([one.name for one in written])
    models = tuple(
        _candidate(unit, name, machine, said[unit.name])
        for unit, name in zip(written, names, strict=True)
    )
    missing = (_without_weights(one) for one in imported.units if not said[one.name].weights)
    rows = [row for one in models for row in (_carried(one), *one.rows)]
    return Report(models, (*rows, *missing, *imported.rows))


def _candidate(unit: ImportedUnit, name: str, machine: Machine, said: ImportedFlags) -> Candidate:
    path = said.weights
    file = file_at(unit.outside.get(path, path), machine).model_copy(update={"path": path})
    rows = tuple(_rows(unit, said))
    return Candidate(name, file, said, unit.server, unit.kept, rows)


def _rows(unit: ImportedUnit, said: ImportedFlags) -> Iterator[ImportRow]:
    yield from unit.rows
    yield from of_download(unit.kept.shown, unit.server.flags, said.weights)


def _carried(one: Candidate) -> ImportRow:
    shown = one.kept.shown if one.kept is not None else one.file.path
    return ImportRow(where=shown, key=f"model {one.name}", became="carried")


def _without_weights(unit: ImportedUnit) -> ImportRow:
    names = [word.partition("=")[0] for word in unit.server.flags]
    download = next((name for name in names if name in DOWNLOADS), "")
    why = (
        f"{download} names where its weights come from, not their file"
        if download
        else ("its command line names no weights")
    )
    return ImportRow(
        where=unit.kept.shown,
        key=download or "weights",
        became="left out",
        why=why,
        instead="start it, and import again: the file that it has in memory is written then",
    )
