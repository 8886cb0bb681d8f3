"""Policy: what a host should be at this moment, given what is wanted, what a person holds, and what failed before."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.core import words
from reconciler.core.backoff import Backoff, next_delay
from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints, attempt_key
from reconciler.model.facts import Observed
from reconciler.model.names import Digest
from reconciler.model.records import Held, Instant, Quarantine
from reconciler.model.spec import Slice
from reconciler.model.target import Target
from reconciler.steps.plan import STEPS

RETRY = Backoff()
HASH_SPAN = 16.0**8
OF_POWER = {words.failed(kind) for kind, step in STEPS.items() if step.of_power}
"""Failures after which nothing is gone back to: a host that was asked to go down, or to come up, may still do so."""

TOLERATED_JUMP_SECONDS = 60.0
"""How far the wall clock may be moved before nothing ends by it alone."""


@dataclass(frozen=True)
class Aim:
    """Be the target of one pass, and why it is not what is wanted when it is not: held first, then quarantined.

    `target` is None when there is nothing good to aim at.
    """

    target: Target | None
    key: Digest
    quarantined: str = ""
    held: str = ""

    @property
    def instead(self) -> str:
        """Return why something else than the wish is aimed at, empty where the wish is or nothing may be done."""
        forward = self.target is None or self.target.mode == "forward"
        return "" if forward else self.held or self.quarantined


def aim(wanted: Slice, hints: Hints, observed: Observed, now: Instant) -> Aim:
    """Return where a pass over one host should aim: what is wanted; nothing while held, last good while quarantined."""
    wanted_digest = digest(wanted)
    key = attempt_key(wanted, wanted_digest, observed)
    held = holding(hints, now)
    if held is not None:
        return Aim(_released(wanted) if held.hold.release else None, key, held=words.held(held.hold))
    failure = hints.quarantine
    if failure is None or failure.key != key:
        return Aim(Target(slice=wanted, digest=wanted_digest), key)
    last_good = None
    if failure.reason not in OF_POWER and hints.last_good is not None and hints.last_good_digest not in {None, wanted_digest}:
        back = going_back(hints.last_good, wanted)
        last_good = Target(slice=back, digest=digest(back), mode="rollback")
    return Aim(last_good, key, words.quarantined(failure))


def is_reached(wanted: Slice, observed: Observed) -> bool:
    """Return whether a host with nothing left to do is as wanted: where models wait until somebody switches it on, it is not."""
    return wanted.power is not None or not wanted.active or observed.power(wanted.host.name) == "on"


def going_back(good: Slice, wanted: Slice) -> Slice:
    """Return an earlier state as it is brought about now: what was defined since is known, and not active.

    Power is left as it is; on a host that was down then, nothing ran. It is prepared as it is to be now.
    """
    known = {model.name for model in good.models}
    newer = tuple(model for model in wanted.models if model.name not in known)
    active = () if good.power in {"off", "suspend"} else good.active
    host = good.host.model_copy(update={"prepare": wanted.host.prepare})
    return good.model_copy(update={"host": host, "models": (*good.models, *newer), "power": None, "active": active})


def holding(hints: Hints, now: Instant) -> Held | None:
    """Return the hold of a host, None once its end has come."""
    held = hints.held
    if held is None or held.hold.until is None:
        return held
    return held if _seconds_until(held.hold.until, held.since, hints, now) > 0 else None


def retry_is_due(hints: Hints, now: Instant) -> bool:
    """Return whether a failed wish has waited long enough to be tried again without being asked."""
    failure = hints.quarantine
    return failure is not None and failure.attempts > 0 and _seconds_until(retry_at(failure), failure.since, hints, now) <= 0


def next_look(hints: Hints, now: Instant) -> float | None:
    """Return the seconds until a hold ends or a failed wish may be tried again, None when neither is to come."""
    held, failure, waits = hints.held, hints.quarantine, []
    if held is not None and held.hold.until is not None:
        waits.append(_seconds_until(held.hold.until, held.since, hints, now))
    if failure is not None and failure.attempts:
        waits.append(_seconds_until(retry_at(failure), failure.since, hints, now))
    return min((wait for wait in waits if wait > 0), default=None)


def _seconds_until(moment: float, since: Instant, hints: Hints, now: Instant) -> float:
    """Return how long something that began at `since` is still to wait for a moment of the wall clock, not above 0 once it came.

    It has not come while the clock is behind what was recorded; nor, within one boot, when it was put forward.
    """
    by_wall = max(moment, hints.newest_at) - now.at
    if since.boot_id != now.boot_id:
        return by_wall
    by_boot = (moment - since.at) - (now.boot - since.boot)
    return max(by_wall, by_boot - TOLERATED_JUMP_SECONDS)


def retry_at(failure: Quarantine) -> float:
    """Return when a failed wish may be tried again without being asked, in wall clock seconds."""
    spread = int(failure.key[-8:], 16) / HASH_SPAN
    return failure.since.at + next_delay(RETRY, failure.attempts, spread)


def _released(wanted: Slice) -> Target:
    """Return a host that runs nothing and is not prepared for anything, its power left as it is."""
    host = wanted.host.model_copy(update={"prepare": None})
    empty = wanted.model_copy(update={"host": host, "active": (), "power": None})
    return Target(slice=empty, digest=digest(empty), mode="release")
