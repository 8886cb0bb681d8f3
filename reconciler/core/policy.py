"""Policy: what a host should be at this moment, given what is wanted and what failed before."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.core.backoff import Backoff, next_delay
from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints, attempt_key
from reconciler.model.facts import Observed
from reconciler.model.names import Digest
from reconciler.model.spec import Slice
from reconciler.model.target import Target

RETRY = Backoff()


@dataclass(frozen=True)
class Aim:
    """Be the target of one pass, and why it is not what is wanted when it is not.

    `target` is None when there is nothing good to aim at.
    """

    target: Target | None
    key: Digest
    quarantined: str = ""
    retry_in: float = 0.0


def aim(wanted: Slice, hints: Hints, observed: Observed, wall: float) -> Aim:
    """Return where a pass over one host should aim: what is wanted, or last good while that is quarantined."""
    wanted_digest = digest(wanted)
    key = attempt_key(wanted, wanted_digest, observed)
    failure = hints.quarantine
    if failure is None or failure.key != key:
        return Aim(Target(slice=wanted, digest=wanted_digest), key)
    why = f"quarantined since run {failure.run}: {failure.reason}: {failure.message}"
    remaining = failure.at + next_delay(RETRY, failure.attempts, 0.0) - wall if failure.attempts else 0.0
    last_good = None
    if hints.last_good is not None and hints.last_good_digest not in {None, wanted_digest}:
        last_good = Target(slice=hints.last_good, digest=hints.last_good_digest or "", mode="rollback")
    return Aim(last_good, key, why, max(0.0, remaining))
