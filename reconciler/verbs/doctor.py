"""Doctor: what is wrong with files, journal and hosts, each with its fix; it changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.core import idleness
from reconciler.core.ownership import Ownership
from reconciler.core.recovery import Hints
from reconciler.core.report import container_findings, findings
from reconciler.core.report.levels import wrong
from reconciler.errors import ConfigError, DurabilityError, Unexpected, Unreachable
from reconciler.loop.observer import Observer, remembered
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.findings import Finding, Findings
from reconciler.model.lending import NOTHING_LENT
from reconciler.model.onhost.host import AskMachine
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.ports import AccessReader
from reconciler.verbs import machine_probe
from reconciler.verbs.context import Reader, Remembered
from reconciler.verbs.hosts import among
from reconciler.verbs.result import ERROR, OK, Outcome


async def run(reader: Reader, host: str | None) -> Outcome[Findings]:
    """Find what is wrong with the controller and with one host, or all.

    Exit 1 when anything is wrong. Raise Misused.
    """
    wanted, of_files = _files(reader)
    chosen = _chosen(wanted, host) if wanted else []
    known = reader.remembered()
    of_journal = await _of_journal(known)
    of_clock = () if of_journal else findings.of_time(known.newest_at, reader.clock.wall())
    of_hosts = await _all(reader, chosen, None if of_journal else known)
    document = Findings(
        hosts=tuple(slice_.host.name for slice_ in chosen),
        findings=(*of_files, *of_journal, *of_clock, *of_hosts),
    )
    return Outcome(document, ERROR if document.wrong else OK)


def _chosen(wanted: Wanted, host: str | None) -> list[Slice]:
    rules = wanted.rules
    return [
        idleness.as_it_may_sleep(wanted.slices[name], rules.get(name, NOTHING_LENT))
        for name in among(wanted.slices, host)
    ]


def _files(reader: Reader) -> tuple[Wanted | None, tuple[Finding, ...]]:
    try:
        wanted = reader.source.read()
    except ConfigError as error:
        fix = "fix what the message names; `reconciler validate` reads both files again"
        return None, (wrong("files", error.message, fix),)
    return wanted, tuple(findings.of_provenance(wanted.provenance))


async def _of_journal(known: Remembered) -> tuple[Finding, ...]:
    try:
        await known.newest()
    except DurabilityError as error:
        return (wrong("journal", error.found, error.fix),)
    return ()


async def _all(reader: Reader, slices: Sequence[Slice], known: Remembered | None) -> list[Finding]:
    found = [*await _own(reader)]
    for slice_ in slices:
        try:
            with unforeseen(reader.keep):
                hints = await known.hints(slice_.host.name) if known else Hints()
                found += await _host(reader, slice_, hints)
        except Unexpected as error:
            # A defect at one host must not hide what is wrong with the others.
            found.append(findings.of_defect(slice_.host.name, error.message))
    return found


async def _own(reader: Reader) -> Sequence[Finding]:
    """Find what is wrong with the machine that this runs on."""
    access = reader.readers(machine_probe.HERE).access
    question = AskMachine(search=False, folders=(reader.controller.directory,))
    try:
        own = await machine_probe.machine(access, question)
    except Unreachable as error:
        return [findings.of_own_silence(error.message)]
    return list(findings.of_journal_place(own))


async def _host(reader: Reader, slice_: Slice, hints: Hints) -> list[Finding]:
    found = list(findings.of_run(slice_.host.name, hints))
    readers = reader.readers(slice_)
    question = AskMachine(
        search=False,
        folders=findings.slot_folders(slice_),
        sockets=container_findings.sockets(slice_),
    )
    try:
        machine = await machine_probe.machine(readers.access, question)
    except Unreachable as error:
        return [*found, findings.of_silence(slice_, error.message)]
    observer = Observer(readers, slice_, reader.clock, remembered(hints))
    observed = await observer.look(findings.questions(slice_))
    ours = Ownership.known(reader.controller, hints, reader.clock.instant())
    found += findings.of_host(slice_, observed, machine, ours)
    return [*found, *await _preparation(readers.access, slice_)]


async def _preparation(access: AccessReader, slice_: Slice) -> Iterable[Finding]:
    prepare = slice_.host.prepare
    if prepare is None:
        return ()
    problems = await machine_probe.lacking(access, prepare.programs)
    return findings.of_preparation(slice_.host.name, problems)
