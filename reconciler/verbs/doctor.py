"""Doctor: look at files, journal and hosts, and say everything that is wrong with its fix.

Changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.ownership import Ownership
from reconciler.core.recovery import Hints, of_host
from reconciler.core.report import findings
from reconciler.errors import ConfigError, DurabilityError, Unexpected, Unreachable
from reconciler.loop.observer import Observer, remembered
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.findings import Finding, Findings
from reconciler.model.onhost.host import AskMachine
from reconciler.model.records import Row
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.verbs import machine_probe
from reconciler.verbs.context import Reader
from reconciler.verbs.hosts import among
from reconciler.verbs.result import ERROR, OK, Outcome


async def run(reader: Reader, host: str | None) -> Outcome[Findings]:
    """Return every finding of the controller and of one host, or all.

    Exit 1 when anything is wrong. Raise Misused.
    """
    wanted, of_files = _files(reader)
    slices = wanted.slices if wanted else {}
    chosen = [slices[name] for name in among(slices, host)] if wanted else []
    rows, of_journal = await _rows(reader)
    of_hosts = await _all(reader, chosen, rows)
    found = (*of_files, *of_journal, *findings.of_time(rows, reader.clock.wall()), *of_hosts)
    document = Findings(hosts=tuple(slice_.host.name for slice_ in chosen), findings=found)
    return Outcome(document, ERROR if document.wrong else OK)


def _files(reader: Reader) -> tuple[Wanted | None, tuple[Finding, ...]]:
    try:
        wanted = reader.source.read()
    except ConfigError as error:
        fix = "fix what is named; `reconciler validate` reads both files again"
        return None, (Finding(level="wrong", subject="files", found=error.message, fix=fix),)
    return wanted, tuple(findings.of_provenance(wanted.provenance))


async def _rows(reader: Reader) -> tuple[Sequence[Row], tuple[Finding, ...]]:
    try:
        return await reader.journal.rows(), ()
    except DurabilityError as error:
        return (), (Finding(level="wrong", subject="journal", found=error.found, fix=error.fix),)


async def _all(reader: Reader, slices: Sequence[Slice], rows: Sequence[Row]) -> tuple[Finding, ...]:
    found = [*await _own(reader)]
    for slice_ in slices:
        host = slice_.host.name
        try:
            with unforeseen(reader.keep):
                known = of_host(rows, host)
                found += [*findings.of_run(host, known), *await _host(reader, slice_, known)]
        except Unexpected as error:
            found.append(findings.of_defect(host, error.message))
    return tuple(found)


async def _own(reader: Reader) -> Sequence[Finding]:
    """Return what is wrong with the machine that this runs on."""
    access = reader.readers(machine_probe.HERE).access
    try:
        own = await machine_probe.machine(
            access, AskMachine(search=False, folders=(reader.controller.directory,))
        )
    except Unreachable as error:
        return [findings.of_own_silence(error.message)]
    return list(findings.of_journal_place(own))


async def _host(reader: Reader, slice_: Slice, hints: Hints) -> Sequence[Finding]:
    readers = reader.readers(slice_)
    try:
        machine = await machine_probe.machine(
            readers.access, AskMachine(search=False, folders=findings.slot_folders(slice_))
        )
    except Unreachable as error:
        return [findings.of_silence(slice_, error.message)]
    observed = await Observer(readers, slice_, reader.clock, remembered(hints)).look(
        findings.questions(slice_)
    )
    prepare = slice_.host.prepare
    problems = await machine_probe.lacking(readers.access, prepare.programs) if prepare else ()
    ours = Ownership.known(reader.controller, hints, reader.clock.instant())
    of_host = findings.of_host(slice_, observed, machine, ours)
    return [*of_host, *findings.of_preparation(slice_.host.name, problems)]
