"""Recovery: fold the journal into hints, the part of the past that cannot be observed.

A pass always observes and plans again. Hints only say where it should aim (last good, failures),
what was cut short (an open run, units that never showed that they work) and how long things took.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import assert_never

from reconciler.core.descent import arrived_after, sent_after
from reconciler.core.power import stayed_up
from reconciler.core.restarting import asked_after, left_after
from reconciler.model.facts import Contact
from reconciler.model.leasing import Idled, Leased, Released, Roused
from reconciler.model.names import Digest
from reconciler.model.records import (
    Adopted,
    Answered,
    Asked,
    Carried,
    Claimed,
    DueRestart,
    Held,
    Hold,
    HostGone,
    HostReturned,
    Lease,
    OpenRun,
    Quarantine,
    Restart,
    Resume,
    Retry,
    RollBack,
    Row,
    RunClosed,
    RunOpened,
    SentDown,
    ShutdownAccepted,
    StepDone,
    StepIntent,
    TrialOpened,
)
from reconciler.model.spec import Slice

NOT_BROUGHT_IN = "it could not be brought in"
REMEMBERED_DURATIONS = 5
REMEMBERED_BOOTS = 10
"""More than one: a claim that was announced may not have been written, and the host has the one
before."""


@dataclass(frozen=True)
class Hints:
    """What the journal says of one host.

    `notes` and what was lost are of its last run, and of the one that it went back from.

    `let_go` are the models that were lent and may still run, each with why they are lent no longer.
    `wanted` is what a run or an adoption aimed at last, whatever came of it: units may still run by
    its definitions.
    """

    last_good: Slice | None = None
    last_good_digest: Digest | None = None
    wanted: Slice | None = None
    wanted_digest: Digest | None = None
    generation: int = 0
    judged_generation: int = 0
    judged_at: float | None = None
    quarantine: Quarantine | None = None
    open_run: OpenRun | None = None
    unproven: frozenset[str] = frozenset()
    held: Held | None = None
    leases: Mapping[str, Lease] = field(default_factory=dict)
    let_go: Mapping[str, str] = field(default_factory=dict)
    unlendable: Mapping[str, Quarantine] = field(default_factory=dict)
    idled: Idled | None = None
    restless: Quarantine | None = None
    restarts: Mapping[str, DueRestart] = field(default_factory=dict)
    sent_down: SentDown | None = None
    notes: tuple[str, ...] = ()
    lost_conversations: int = 0
    boots: tuple[str, ...] = ()
    asked: Mapping[int, Asked] = field(default_factory=dict)
    newest_at: float = 0.0
    durations: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)

    def typical_seconds(self, kind: str, target: str) -> float | None:
        """The median of the last durations of a step, None when it never ran."""
        seen = self.durations.get((kind, target))
        return median(seen) if seen else None


def fold(rows: Iterable[Row]) -> dict[str, Hints]:
    """The hints of every host the journal knows."""
    hints: dict[str, Hints] = {}
    newest_at = 0.0
    for row in rows:
        host = row.record.host
        hints[host] = after(hints.get(host, Hints()), row)
        newest_at = row.at
    return {host: replace(one, newest_at=newest_at) for host, one in hints.items()}


def after(hints: Hints, row: Row) -> Hints:
    """The hints of a host after one more row about it, but for when the newest row was written."""
    record = row.record
    match record:
        case RunOpened():
            return _opened(hints, row, record)
        case StepIntent():
            return _intended(hints, row, record)
        case StepDone():
            return _done(hints, record)
        case ShutdownAccepted() | HostReturned() | HostGone():
            return _heard(hints, record)
        case TrialOpened():
            return hints
        case RunClosed():
            return _closed(hints, row, record)
        case Adopted():
            return _adopted(hints, row, record)
        case Claimed():
            boots = tuple(dict.fromkeys((*hints.boots, row.when.boot_id)))
            return replace(hints, boots=boots[-REMEMBERED_BOOTS:])
        case Carried():
            return _carried(hints, record)
        case _:
            return _told(hints, row, record)


def _told(
    hints: Hints,
    row: Row,
    record: Retry
    | Restart
    | RollBack
    | Hold
    | Resume
    | Asked
    | Answered
    | Leased
    | Released
    | Idled
    | Roused,
) -> Hints:
    """The hints after a person said something or was answered, or a model was lent."""
    match record:
        case Leased() | Released():
            return _lent(hints, row, record)
        case Idled():
            return replace(hints, idled=record)
        case Roused():
            return _roused(hints, row, record)
        case Retry():
            return replace(hints, quarantine=None, unlendable={}, restless=None)
        case Restart():
            return replace(hints, restarts=asked_after(hints.restarts, row, record))
        case RollBack():
            good = replace(hints, last_good=record.slice, last_good_digest=record.digest)
            return replace(good, quarantine=_left(row, record))
        case Hold() | Resume():
            held = Held(hold=record, since=row.when) if isinstance(record, Hold) else None
            return replace(hints, held=held)
        case Asked():
            return replace(hints, asked={**hints.asked, row.seq: record})
        case Answered():
            waiting = {seq: asked for seq, asked in hints.asked.items() if seq != record.asked}
            return replace(hints, asked=waiting)
        case _:
            assert_never(record)


def _adopted(hints: Hints, row: Row, record: Adopted) -> Hints:
    good = replace(hints, last_good=record.slice, last_good_digest=record.digest, quarantine=None)
    aimed = replace(good, wanted=record.slice, wanted_digest=record.digest)
    return _judged(replace(aimed, generation=record.generation), row)


def _lent(hints: Hints, row: Row, record: Leased | Released) -> Hints:
    """The hints after a model was lent, or let go."""
    leases = {name: lease for name, lease in hints.leases.items() if name != record.model}
    let_go = {name: why for name, why in hints.let_go.items() if name != record.model}
    if isinstance(record, Leased):
        newest = Lease(wanted=record.wanted, since=row.when, term=record.term)
        return replace(hints, leases={**leases, record.model: newest}, let_go=let_go)
    why = record.because if record.failed is None else NOT_BROUGHT_IN
    hints = replace(hints, leases=leases, let_go={**let_go, record.model: why})
    if record.failed is None:
        return hints
    failure = Quarantine(
        key=record.failed, reason="NotLent", message=record.because, run=row.seq, since=row.when
    )
    counted = _once_more(hints.unlendable.get(record.model), failure)
    return replace(hints, unlendable={**hints.unlendable, record.model: counted})


def _roused(hints: Hints, row: Row, record: Roused) -> Hints:
    if record.failed is None:
        return replace(hints, idled=None)
    failure = Quarantine(
        key=record.failed, reason="NotIdled", message=record.because, run=row.seq, since=row.when
    )
    return replace(hints, idled=None, restless=_once_more(hints.restless, failure))


def _once_more(before: Quarantine | None, failure: Quarantine) -> Quarantine:
    """A failure, counted where it is the same one again."""
    if before is None or before.key != failure.key:
        return failure
    return failure.model_copy(update={"attempts": before.attempts + 1})


def _left(row: Row, record: RollBack) -> Quarantine:
    message = "left by `reconciler rollback`"
    return Quarantine(
        key=record.leaves,
        reason="RolledBack",
        message=message,
        run=row.seq,
        since=row.when,
        attempts=0,
    )


def _carried(hints: Hints, record: Carried) -> Hints:
    return Hints(
        last_good=record.last_good,
        last_good_digest=record.last_good_digest,
        wanted=record.wanted,
        wanted_digest=record.wanted_digest,
        generation=record.generation,
        judged_generation=record.judged_generation,
        judged_at=record.judged_at,
        quarantine=record.quarantine,
        open_run=record.open_run,
        unproven=frozenset(record.unproven),
        held=record.held,
        leases=record.leases,
        let_go=record.let_go,
        unlendable=record.unlendable,
        idled=record.idled,
        restless=record.restless,
        restarts=record.restarts,
        sent_down=record.sent_down,
        notes=record.notes,
        lost_conversations=record.lost_conversations,
        boots=record.boots,
        asked=hints.asked,
        durations=hints.durations,
    )


def _opened(hints: Hints, row: Row, record: RunOpened) -> Hints:
    opened = replace(hints, open_run=OpenRun(seq=row.seq, at=row.at, opened=record))
    # A rollback is told as one with the run that it comes from, whose notes it keeps.
    if record.mode != "rollback":
        opened = replace(opened, notes=(), lost_conversations=0)
    if record.mode != "forward":
        return opened
    # The count of failures survives another try, or the wait between tries would never grow.
    kept = _failure(hints, record.key)
    if record.digest != hints.wanted_digest:
        opened = replace(opened, let_go={})
    opened = replace(opened, wanted=record.slice, wanted_digest=record.digest)
    return replace(opened, generation=record.generation, quarantine=kept)


def _failure(hints: Hints, key: Digest) -> Quarantine | None:
    """The last failure, where it is of this very attempt."""
    failure = hints.quarantine
    return failure if failure is not None and failure.key == key else None


def _running(run: OpenRun | None, in_flight: StepIntent | None) -> OpenRun | None:
    return run.model_copy(update={"in_flight": in_flight}) if run else None


def _intended(hints: Hints, row: Row, record: StepIntent) -> Hints:
    run = _running(hints.open_run, in_flight=record)
    # From the intent on: a controller that dies here leaves a unit that was never seen healthy.
    unproven = hints.unproven | {record.model} if record.step == "start" else hints.unproven
    return replace(
        hints, open_run=run, unproven=unproven, sent_down=sent_after(hints.sent_down, row, record)
    )


def _heard(hints: Hints, record: ShutdownAccepted | HostReturned | HostGone) -> Hints:
    sent = hints.sent_down
    if isinstance(record, HostReturned):
        # It never went down: what only seemed to be reached is wanted again (ADR 0009).
        is_new = stayed_up(sent, Contact(boot_id=record.boot_id))
        back = replace(hints, wanted_digest=None) if is_new else hints
        # One that was seen suspended and answers was woken by somebody, in the same boot.
        is_over = sent is not None and sent.state == "suspended" and bool(sent.seen)
        return replace(back, sent_down=None, idled=None if is_over else hints.idled)
    if sent is None:
        return hints
    told = {"seen": record.because} if isinstance(record, HostGone) else {"boot_id": record.boot_id}
    return replace(hints, sent_down=sent.model_copy(update=told))


def _done(hints: Hints, record: StepDone) -> Hints:
    run = _running(hints.open_run, in_flight=None)
    ended = replace(hints, open_run=run, sent_down=arrived_after(hints.sent_down, record))
    if record.outcome in {"done", "skipped"} and record.step in {"await_healthy", "stop"}:
        ended = replace(ended, unproven=ended.unproven - {record.model})
    if record.outcome == "done" and record.step == "stop":
        left = {name: why for name, why in hints.let_go.items() if name != record.model}
        ended = replace(ended, let_go=left)
    return replace(ended, durations=_timed(hints, record)) if record.outcome == "done" else ended


def _timed(hints: Hints, record: StepDone) -> Mapping[tuple[str, str], tuple[float, ...]]:
    key = (record.step, record.model)
    seconds = (*hints.durations.get(key, ()), record.seconds)
    return {**hints.durations, key: seconds[-REMEMBERED_DURATIONS:]}


def _closed(hints: Hints, row: Row, record: RunClosed) -> Hints:
    if hints.open_run is None:
        return hints
    run, opened = hints.open_run.seq, hints.open_run.opened
    left = left_after(hints.restarts, run, record)
    closed = _with_losses(replace(hints, open_run=None, restarts=left), record)
    if record.verdict == "promoted":
        return _promoted(closed, row, opened)
    if not record.quarantines or record.key is None:
        return _judged(closed, row) if opened.mode == "forward" else closed
    failure = _quarantine(hints, row, record, record.key)
    return _judged(replace(closed, quarantine=failure), row)


def _quarantine(hints: Hints, row: Row, record: RunClosed, key: Digest) -> Quarantine:
    before = _failure(hints, key)
    return Quarantine(
        key=key,
        reason=record.reason,
        message=record.message,
        run=record.run,
        since=row.when,
        attempts=before.attempts + 1 if before else 1,
        log=record.log,
    )


def _with_losses(hints: Hints, record: RunClosed) -> Hints:
    return replace(
        hints,
        notes=(*hints.notes, *record.notes),
        lost_conversations=hints.lost_conversations + record.lost_conversations,
        unproven=hints.unproven | {*record.unproven},
    )


def _promoted(closed: Hints, row: Row, opened: RunOpened) -> Hints:
    # Nothing serves on a released host, or one at rest: that is no state to go back to.
    if opened.mode == "release":
        return closed
    if opened.mode == "idle":
        return replace(closed, restless=None)
    if opened.mode == "lease":
        return _lent_well(closed, opened)
    good = replace(closed, last_good=opened.slice, last_good_digest=opened.digest)
    # A way back that worked says nothing of what failed: the quarantine stays.
    return _judged(replace(good, quarantine=None) if opened.mode == "forward" else good, row)


def _lent_well(closed: Hints, opened: RunOpened) -> Hints:
    # What requests brought in is no wish: nothing goes back to it.
    active = opened.slice.active or ()
    failures = {name: one for name, one in closed.unlendable.items() if name not in active}
    return replace(closed, unlendable=failures)


def _judged(hints: Hints, row: Row) -> Hints:
    return replace(hints, judged_generation=hints.generation, judged_at=row.at)
