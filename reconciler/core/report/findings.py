"""Findings: facts about controller and hosts as what is wrong, each with its fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from reconciler.core.ownership import Ownership
from reconciler.core.recovery import Hints
from reconciler.core.report import (
    container_findings,
    folder_findings,
    host_findings,
    model_findings,
)
from reconciler.core.report.levels import note, wrong
from reconciler.model.findings import Finding
from reconciler.model.machine import Machine
from reconciler.model.observed import (
    BINARY,
    CLAIM,
    CONTACT,
    FLAGS,
    GPU,
    GUARDS,
    HEALTH,
    PORT,
    TRAFFIC,
    UNIT,
    WEIGHTS,
    AnyFactKey,
    HostFact,
    ModelFact,
    Observed,
)
from reconciler.model.place import Door
from reconciler.model.reason import Reason
from reconciler.model.spec import ModelSpec, Slice
from reconciler.model.target import Provenance

CLOCK_SLACK = 1.0
"""Seconds that the clock may be behind the newest row of the journal."""

_COMMIT = "git add desired.yaml inventory.yaml && git commit"
_UNRECORDED = {
    "not in git": (
        "both files are in no git repository, so nothing remembers what they were",
        f"git init && {_COMMIT}",
    ),
    "untracked": ("git has no commit of both files", _COMMIT),
    "modified": (
        "desired.yaml or inventory.yaml differs from what git has",
        "git diff shows how; commit what should stay",
    ),
}
HOST_FACTS: tuple[HostFact[Any], ...] = (CONTACT, CLAIM, GPU)
MODEL_FACTS: tuple[ModelFact[Any], ...] = (WEIGHTS, BINARY, FLAGS, UNIT, HEALTH, TRAFFIC)


def questions(slice_: Slice) -> tuple[AnyFactKey, ...]:
    """List the facts of a host that are worth judging."""
    return (*_of_host(slice_), *_of_models(slice_))


def _of_host(slice_: Slice) -> Iterator[AnyFactKey]:
    host = slice_.host.name
    yield from (kind(host) for kind in HOST_FACTS)
    if slice_.host.capabilities.can_shut_down:
        yield GUARDS(host)


def _of_models(slice_: Slice) -> Iterator[AnyFactKey]:
    host = slice_.host.name
    for model in slice_.models:
        yield from (kind(host, model.name) for kind in MODEL_FACTS)
    yield from (PORT(host, port) for port in _ports(slice_))


def _ports(slice_: Slice) -> list[Door]:
    return sorted({model.door for model in slice_.models}, key=str)


def slot_folders(slice_: Slice) -> tuple[str, ...]:
    """List where models keep conversations, absolute or relative to the host directory."""
    return tuple(folder for model in slice_.models for folder in _folders(model))


def of_provenance(provenance: Provenance) -> Iterator[Finding]:
    """Yield what git does not know of the files."""
    if provenance.objection:
        why = provenance.objection
        yield wrong("git", why.found, f"{why.fix}; until then nothing is applied")
    elif provenance.trouble:
        # Before the state: where git does not answer, `git init` would be the wrong advice.
        found = f"{provenance.trouble.found}, so nothing remembers what the files were"
        yield note("git", found, provenance.trouble.fix)
    elif provenance.state in _UNRECORDED:
        found, command = _UNRECORDED[provenance.state]
        yield note("git", found, f"where both files are: {command}")


def of_journal_place(machine: Machine) -> Iterator[Finding]:
    """Yield why the journal could not be written; its folder is the first of `machine`."""
    otherwise = "or choose another with --data"
    for folder in machine.folders[:1]:
        yield from folder_findings.of_writing("data directory", folder, machine.user, otherwise)


def of_own_silence(reason: str) -> Finding:
    """Tell that the controller's own machine cannot be looked at."""
    found = f"this machine cannot be inspected: {reason}"
    fix = "fix what the message names, then run this again"
    return wrong("data directory", found, fix)


def of_time(newest_at: float, wall: float) -> Iterator[Finding]:
    """Yield that the clock, in wall clock seconds, is behind when the newest row was written."""
    behind = newest_at - wall
    if behind > CLOCK_SLACK:
        found = (
            f"the clock is {behind:.0f} s behind the newest row of the journal, so nothing that"
            " waits for a time can end"
        )
        fix = "`timedatectl set-ntp true`, or set it by hand"
        yield wrong("clock", found, fix)


def of_preparation(host: str, problems: Iterable[str]) -> Iterator[Finding]:
    """Yield what keeps a host from being prepared: programs that it cannot run."""
    fix = f"install it, or correct `prepare:` of {host}"
    for problem in problems:
        yield wrong("prepare", problem, fix, host)


def of_run(host: str, hints: Hints) -> Iterator[Finding]:
    """Yield the run that never ended."""
    if hints.open_run is not None:
        found = f"run {hints.open_run.seq} was opened and has not ended"
        fix = (
            "if no other command is working on it, `reconciler apply` looks at what is there and"
            " continues"
        )
        yield wrong("run", found, fix, host)


def of_defect(host: str, found: str) -> Finding:
    """Tell that a defect of our own keeps a host from being looked at."""
    fix = "report it with the file that it names; other hosts are handled as usual"
    return wrong("defect", found, fix, host)


def of_silence(slice_: Slice, reason: str) -> Finding:
    """Tell that a host cannot be looked at."""
    host, why = slice_.host.name, Reason.of(reason)
    found = f"it cannot be inspected: {why.found}"
    fix = why.fix or f"switch it on, or correct `access:` of {host} in inventory.yaml"
    # A host that should be off is rightly silent.
    judge = note if slice_.power in {"off", "suspend"} else wrong
    return judge("access", found, f"{fix}; then run this again", host)


def of_host(
    slice_: Slice, observed: Observed, machine: Machine, ours: Ownership
) -> Iterator[Finding]:
    """Yield what is wrong on a host that was reached; the folders of `machine` hold its slots."""
    host = slice_.host.name
    for one in _whole(slice_, observed, machine, ours):
        yield _placed(one, host)
    for model in slice_.models:
        for one in model_findings.of_model(host, model, observed):
            yield _placed(one, host, model.name)
        for one in container_findings.of_model(model, machine):
            yield _placed(one, host, model.name)
    for one in host_findings.of_ports(slice_, observed):
        yield _placed(one, host, one.model)
    yield from _of_folders(slice_, observed, machine)


def _whole(
    slice_: Slice, observed: Observed, machine: Machine, ours: Ownership
) -> Iterator[Finding]:
    host = slice_.host.name
    seen = [key for key in questions(slice_) if key in observed]
    yield from host_findings.of_what_is_unknown(seen, observed)
    yield from host_findings.of_logins(slice_, machine)
    yield from host_findings.of_claim(host, observed, ours)
    yield from host_findings.of_gpu(host, observed, machine)
    yield from host_findings.of_power(slice_, observed)
    yield from container_findings.of_engines(slice_, machine)


def _of_folders(slice_: Slice, observed: Observed, machine: Machine) -> Iterator[Finding]:
    """Judge the slot folders, which `machine` has in the order of `slot_folders`."""
    host, folders = slice_.host.name, iter(machine.folders)
    for model in slice_.models:
        weights = observed.value(WEIGHTS(host, model.name))
        for folder in islice(folders, len(model.command.folders)):
            for one in folder_findings.of_slots(model, weights, folder, machine.user):
                yield _placed(one, host, model.name)


def _placed(finding: Finding, host: str, model: str = "") -> Finding:
    return finding.model_copy(update={"host": host, "model": model})


def _folders(model: ModelSpec) -> tuple[str, ...]:
    return tuple(
        folder if folder.startswith("/") else f"{model.directory}/{folder}"
        for folder in model.command.folders
    )
