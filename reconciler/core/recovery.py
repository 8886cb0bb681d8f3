"""Recovery: fold the journal into hints, the part of the past that cannot be observed.

A pass always observes and plans again. Hints only say where it should aim (last good, failures), what was cut short
(an open run, units that never showed that they work) and how long things took.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median

from reconciler.core.canonical import digest
from reconciler.model.facts import Binary, FactKey, Observed, Weights
from reconciler.model.names import Digest
from reconciler.model.records import (
    Adopted,
    Record,
    Retry,
    RollBack,
    Row,
    RunClosed,
    RunOpened,
    StepDone,
    StepIntent,
    TrialOpened,
)
from reconciler.model.spec import Slice

REMEMBERED_DURATIONS = 5


@dataclass(frozen=True)
class Quarantine:
    """Remember a slice that failed: its key, why, how often, and since when (wall clock)."""

    key: Digest
    reason: str
    message: str
    run: int
    at: float
    attempts: int = 1
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenRun:
    """Remember a run that never closed: the row that opened it, and the effect that may have been in flight."""

    seq: int
    opened: RunOpened
    in_flight: StepIntent | None = None
    trial: TrialOpened | None = None


@dataclass(frozen=True)
class Hints:
    """Gather what the journal says of one host."""

    last_good: Slice | None = None
    last_good_digest: Digest | None = None
    wanted_digest: Digest | None = None
    generation: int = 0
    judged_generation: int = 0
    quarantine: Quarantine | None = None
    open_run: OpenRun | None = None
    unproven: frozenset[str] = frozenset()
    durations: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)

    def typical_seconds(self, kind: str, target: str) -> float | None:
        """Return the median of the last durations of a step, None when it never ran."""
        seen = self.durations.get((kind, target))
        return median(seen) if seen else None


def attempt_key(slice_: Slice, slice_digest: Digest, observed: Observed) -> Digest:
    """Return what a failure is remembered by: the slice, and the files it would run as they are now."""
    host = slice_.host.name
    active = set(slice_.active or ())
    files = {
        model.name: [_weights(observed, host, model.name), _binary(observed, host, model.name)]
        for model in slice_.models
        if model.name in active
    }
    return digest({"slice": slice_digest, "files": files})


def _weights(observed: Observed, host: str, model_name: str) -> list[str | int]:
    weights = observed.value(FactKey("weights", host, model_name), Weights)
    return [weights.path, weights.size, weights.modified_ns] if weights else []


def _binary(observed: Observed, host: str, model_name: str) -> list[str | int]:
    binary = observed.value(FactKey("binary", host, model_name), Binary)
    return [binary.path, binary.size, binary.modified_ns] if binary else []


def fold(rows: Iterable[Row]) -> dict[str, Hints]:
    """Return the hints of every host the journal knows."""
    hints: dict[str, Hints] = {}
    for row in rows:
        host = row.record.host
        hints[host] = _after(hints.get(host, Hints()), row, row.record)
    return hints


def _after(hints: Hints, row: Row, record: Record) -> Hints:
    match record:
        case RunOpened():
            return _opened(hints, row.seq, record)
        case StepIntent():
            return _intended(hints, record)
        case StepDone():
            return _done(hints, record)
        case TrialOpened():
            return replace(hints, open_run=replace(hints.open_run, trial=record)) if hints.open_run else hints
        case RunClosed():
            return _closed(hints, row, record)
        case Adopted():
            good = replace(hints, last_good=record.slice, last_good_digest=record.digest, quarantine=None)
            return _judged(replace(good, wanted_digest=record.digest, generation=record.generation))
        case Retry():
            return replace(hints, quarantine=None)
        case RollBack():
            left = Quarantine(record.leaves, "RolledBack", "left by `reconciler rollback`", row.seq, row.at, attempts=0)
            return replace(hints, last_good=record.slice, last_good_digest=record.digest, quarantine=left)


def _opened(hints: Hints, seq: int, record: RunOpened) -> Hints:
    opened = replace(hints, open_run=OpenRun(seq, record))
    if record.mode != "forward":
        return opened
    kept = hints.quarantine if hints.quarantine and hints.quarantine.key == record.key else None
    return replace(opened, wanted_digest=record.digest, generation=record.generation, quarantine=kept)


def _intended(hints: Hints, record: StepIntent) -> Hints:
    run = replace(hints.open_run, in_flight=record) if hints.open_run else None
    unproven = hints.unproven | {record.model} if record.step == "start" else hints.unproven
    return replace(hints, open_run=run, unproven=unproven)


def _done(hints: Hints, record: StepDone) -> Hints:
    run = replace(hints.open_run, in_flight=None) if hints.open_run else None
    unproven = hints.unproven
    if record.outcome in {"done", "skipped"} and record.step in {"await_healthy", "stop"}:
        unproven -= {record.model}
    durations = dict(hints.durations)
    if record.outcome == "done":
        key = (record.step, record.model)
        durations[key] = (*durations.get(key, ()), record.seconds)[-REMEMBERED_DURATIONS:]
    return replace(hints, open_run=run, unproven=unproven, durations=durations)


def _closed(hints: Hints, row: Row, record: RunClosed) -> Hints:
    if hints.open_run is None:
        return hints
    opened = hints.open_run.opened
    closed = replace(hints, open_run=None)
    if record.verdict == "promoted":
        good = replace(closed, last_good=opened.slice, last_good_digest=opened.digest)
        return _judged(replace(good, quarantine=None) if opened.mode == "forward" else good)
    if not record.quarantines or record.key is None:
        return _judged(closed) if opened.mode == "forward" else closed
    before = hints.quarantine.attempts if hints.quarantine and hints.quarantine.key == record.key else 0
    failure = Quarantine(record.key, record.reason, record.message, record.run, row.at, before + 1, record.log)
    return _judged(replace(closed, quarantine=failure))


def _judged(hints: Hints) -> Hints:
    return replace(hints, judged_generation=hints.generation)
