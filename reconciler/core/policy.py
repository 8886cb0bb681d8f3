"""Policy: what a host should be now, given what is wanted, held, and failed before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler.core import idleness, lending, phrases, planner
from reconciler.core.attempts import attempt_key
from reconciler.core.canonical import digest
from reconciler.core.expiry import seconds_until
from reconciler.core.recovery import Hints
from reconciler.core.retries import retry_at
from reconciler.model.lending import NOTHING_LENT, Rules
from reconciler.model.names import Digest
from reconciler.model.observed import UNIT, Observed
from reconciler.model.records import Held, Hold, Instant, Lease, Mode, Quarantine
from reconciler.model.spec import Slice
from reconciler.model.target import Target
from reconciler.steps.plan import STEPS
from reconciler.steps.stop import Stop

OF_POWER = {phrases.failed(kind) for kind, step in STEPS.items() if step.of_power}
"""Failures after which nothing is gone back to: a host that was asked to go down, or to come up,
may still do so."""


@dataclass(frozen=True)
class Aim:
    """Where one pass over one host goes, in which mode, and which key its failure would quarantine.

    `cause` is why that is not simply what is wanted: a hold first, then a quarantine. Where nothing
    may be done at all, `acts` is False and the target is the wish. `lent` are the models that are
    lent, to requests or a person; a run of the mode `lease` is for those `brought`. `retry_at` is
    when a wish that failed is tried again by itself, in wall clock seconds.
    """

    target: Target
    mode: Mode
    key: Digest
    cause: Hold | Quarantine | None = None
    acts: bool = True
    lent: Mapping[str, Lease] = field(default_factory=dict)
    brought: frozenset[str] = frozenset()
    retry_at: float | None = None

    @property
    def reason(self) -> str:
        """The cause as a sentence, empty where there is none."""
        if isinstance(self.cause, Hold):
            return phrases.held(self.cause)
        return phrases.quarantined(self.cause) if self.cause else ""

    @property
    def refusal(self) -> str:
        """The cause with what to do about it, as it refuses the wish in a plan."""
        if isinstance(self.cause, Quarantine):
            return phrases.left_alone(self.cause, self.target.slice.host.name)
        return self.reason

    @property
    def instead(self) -> str:
        """Why something else than the wish is brought about, empty where nothing else is."""
        return self.refusal if self.acts else ""


def aim(
    wanted: Slice,
    hints: Hints,
    observed: Observed,
    now: Instant,
    *,
    rules: Rules = NOTHING_LENT,
    retries: bool = False,
) -> Aim:
    """Where a pass over one host goes: to what is wanted, unless that is held or failed before.

    What a person took for a while, and what requests brought in by the `rules`, comes on top.
    `retries` tries a failed wish again once
    it has waited, where nothing that serves would be stopped for it.
    """
    lent = lending.standing(wanted, rules, hints, now)
    # What the file wants is brought in like all that is lent where the host has to be woken for it:
    # that this fails is no failure of the file, and the next request tries again.
    is_up = not rules.sleeps or observed.power(wanted.host.name) == "on"
    brought = frozenset(lent).difference((wanted.active or ()) if is_up else ())
    unlent = _unlent_aim(wanted, hints, observed, now, retries=retries and not brought)
    if isinstance(unlent.cause, Hold) or is_of_power(unlent.cause):
        return unlent
    if hints.idled is not None and not idleness.roused(wanted, rules, hints, observed, lent):
        rest = _target(idleness.at_rest(wanted, hints.idled.then))
        return Aim(rest, "idle", attempt_key(rest.slice, rest.digest, observed))
    if not brought:
        return replace(unlent, lent=lent)
    # That what the file wants failed is no reason to refuse what it allows.
    instead = unlent.target.slice if unlent.acts else _left_alone(wanted, hints, observed)
    target = _target(lending.lend(instead, brought))
    key = attempt_key(target.slice, target.digest, observed)
    if rules.sleeps:
        # What is wanted stays the same whether the host sleeps or not: only this run wakes it.
        target = Target(slice=target.slice.model_copy(update={"power": "on"}), digest=target.digest)
    return Aim(target, "lease", key, unlent.cause, lent=lent, brought=brought)


def _left_alone(wanted: Slice, hints: Hints, observed: Observed) -> Slice:
    """A host whose wish failed, and that has nothing to go back to, with what of it works."""
    units = {name: observed.value(UNIT(wanted.host.name, name)) for name in wanted.active or ()}
    works = (name for name, unit in units.items() if unit is not None)
    return wanted.model_copy(update={"active": tuple(sorted(set(works) - hints.unproven))})


def is_of_power(failure: Hold | Quarantine | None) -> bool:
    """Whether a host could not be brought up or down: then it is left as it is."""
    return isinstance(failure, Quarantine) and failure.reason in OF_POWER


def _unlent_aim(
    wanted: Slice, hints: Hints, observed: Observed, now: Instant, *, retries: bool
) -> Aim:
    """Where a pass over one host goes but for what requests brought in."""
    wish = _target(wanted)
    forward = Aim(wish, "forward", attempt_key(wanted, wish.digest, observed))
    held = holding(hints, now)
    if held is not None:
        return _held(wanted, forward, held.hold)
    failure = hints.quarantine
    # The key covers the files too: other weights or another program are a new attempt.
    if failure is None or failure.key != forward.key:
        return forward
    # A retry that was not asked for must not cost a model that serves.
    retries = retries and failure.attempts > 0 and _stops_nothing(wish, hints, observed)
    if retries and retry_is_due(hints, now):
        return forward
    due = retry_at(failure) if retries else None
    return replace(_failed(wanted, forward, failure, hints), retry_at=due)


def _held(wanted: Slice, forward: Aim, hold: Hold) -> Aim:
    if hold.release:
        return Aim(_released(wanted), "release", forward.key, hold)
    return replace(forward, cause=hold, acts=False)


def _failed(wanted: Slice, forward: Aim, failure: Quarantine, hints: Hints) -> Aim:
    good = last_good(wanted, hints)
    if good is None or is_of_power(failure):
        return replace(forward, cause=failure, acts=False)
    return Aim(_target(going_back(good, wanted)), "heal", forward.key, failure)


def back(wanted: Slice, hints: Hints, untouched: tuple[str, ...]) -> Aim:
    """Where a host goes after a run of its wish failed: to last good.

    Without one, to what ran before and runs still.
    """
    good = last_good(wanted, hints)
    kept = {"active": untouched, "power": None}
    instead = wanted.model_copy(update=kept) if good is None else going_back(good, wanted)
    target = _target(instead)
    return Aim(target, "rollback", attempt_key(instead, target.digest, Observed()))


def last_good(wanted: Slice, hints: Hints) -> Slice | None:
    """The last good state of a host, None where there is none beside what is wanted."""
    return None if hints.last_good_digest in {None, digest(wanted)} else hints.last_good


def found_serving(wanted: Slice, hints: Hints, observed: Observed) -> Target | None:
    """What serves on a host of which nothing good is known yet, None where that is nothing."""
    knows = hints.last_good or hints.quarantine or hints.open_run
    if knows or wanted.power not in {None, "on"}:
        return None
    names = (model.name for model in wanted.models)
    active = tuple(sorted(name for name in names if observed.value(UNIT(wanted.host.name, name))))
    kept = wanted.model_copy(update={"active": active})
    return _target(kept) if active and digest(kept) != digest(wanted) else None


def is_reached(wanted: Slice, observed: Observed) -> bool:
    """Whether a host with nothing left to do is as wanted."""
    if wanted.power is not None or not wanted.active:
        return True
    # Its power is not managed: while it is off, its models wait until it is switched on.
    return observed.power(wanted.host.name) == "on"


def going_back(good: Slice, wanted: Slice) -> Slice:
    """An earlier state as it is brought about now.

    What was defined since is known, and not active. Power is left as it is, and the host is
    prepared as is wanted now.
    """
    known = {model.name for model in good.models}
    newer = (model for model in wanted.models if model.name not in known)
    # On a host that was down then, nothing ran.
    active = () if good.power in {"off", "suspend"} else good.active
    host = good.host.model_copy(update={"prepare": wanted.host.prepare})
    models = (*good.models, *newer)
    return good.model_copy(update={"host": host, "models": models, "power": None, "active": active})


def holding(hints: Hints, now: Instant) -> Held | None:
    """The hold of a host, None once its end has come."""
    held = hints.held
    if held is None or held.hold.until is None:
        return held
    left = seconds_until(held.hold.until, held.since, hints, now)
    return held if left > 0 else None


def retry_is_due(hints: Hints, now: Instant) -> bool:
    """Whether a failed wish has waited long enough to be tried again without being asked."""
    failure = hints.quarantine
    return (
        failure is not None
        and failure.attempts > 0
        and seconds_until(retry_at(failure), failure.since, hints, now) <= 0
    )


def not_lent(wanted: Slice, rules: Rules, hints: Hints, now: Instant) -> dict[str, str]:
    """The models that requests would wait for in vain, each with the reason.

    What a person has taken the place of comes on top (`lending.kept_out`).
    """
    held, failure = holding(hints, now), hints.quarantine
    names = {*rules.allow, *(wanted.active or ())}
    if held is not None:
        return dict.fromkeys(names, phrases.held(held.hold))
    if wanted.power in {"off", "suspend"}:
        return dict.fromkeys(names, f"desired.yaml says `power: {wanted.power}`")
    if failure is not None and is_of_power(failure):
        return dict.fromkeys(names, phrases.quarantined(failure))
    lendable = {*rules.allow, *((wanted.active or ()) if rules.idle else ())}
    reasons = {name: _failed_to_lend(name, wanted, hints, now) for name in lendable}
    # A host that rests tries nothing again by itself: a request does that.
    if failure is not None and not (hints.idled and retry_is_due(hints, now)):
        reasons |= dict.fromkeys(wanted.active or (), phrases.quarantined(failure))
    return {name: reason for name, reason in reasons.items() if reason}


def _failed_to_lend(name: str, wanted: Slice, hints: Hints, now: Instant) -> str:
    """Why a model is not brought in again yet, empty where it may be."""
    failure = hints.unlendable.get(name)
    if failure is None or failure.key != lending.lent_alone(wanted, name):
        return ""
    is_due = seconds_until(retry_at(failure), failure.since, hints, now) <= 0
    return "" if is_due else failure.message


def next_look(hints: Hints, now: Instant) -> float | None:
    """The seconds until a hold or a lease ends or a failed wish may be tried again, or None."""
    waits = (seconds_until(moment, since, hints, now) for moment, since in _moments(hints))
    return min((wait for wait in waits if wait > 0), default=None)


def _moments(hints: Hints) -> Iterator[tuple[float, Instant]]:
    """The moments of the wall clock that are waited for, each with when the wait began."""
    held, failure = hints.held, hints.quarantine
    if held is not None and held.hold.until is not None:
        yield held.hold.until, held.since
    for lease in hints.leases.values():
        if lease.term is not None:
            yield lease.term.until, lease.since
    for one in (failure, hints.restless):
        if one is not None and one.attempts:
            yield retry_at(one), one.since


def _stops_nothing(wish: Target, hints: Hints, observed: Observed) -> bool:
    plan = planner.plan(wish, observed, hints)
    stops = (planned.step for planned in plan.steps if isinstance(planned.step, Stop))
    return not any(_may_serve(step, observed) for step in stops)


def _may_serve(step: Stop, observed: Observed) -> bool:
    # What is left of a failed start is in nobody's way: only for it no try would ever come again.
    health = step.seen(observed).health
    return health is None or health.lives


def _target(slice_: Slice) -> Target:
    return Target(slice=slice_, digest=digest(slice_))


def _released(wanted: Slice) -> Target:
    """A host that runs nothing and is not prepared for anything, its power left as it is."""
    host = wanted.host.model_copy(update={"prepare": None})
    return _target(wanted.model_copy(update={"host": host, "active": (), "power": None}))
