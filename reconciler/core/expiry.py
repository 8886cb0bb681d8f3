"""Expiry: whether a moment of the wall clock has come, which may be set at any time."""

from __future__ import annotations

from reconciler.core.recovery import Hints
from reconciler.model.records import Instant

TOLERATED_JUMP_SECONDS = 60.0
"""How far the wall clock may be moved before nothing ends by it alone."""


def seconds_until(moment: float, since: Instant, hints: Hints, now: Instant) -> float:
    """How long a wait since `since` for a moment of the wall clock still is, at most 0 once over.

    The moment has not come while the clock is behind what was recorded.
    """
    by_wall = max(moment, hints.newest_at) - now.at
    if since.boot_id != now.boot_id:
        return by_wall
    # The wall clock may have been put forward; within one boot there is one that cannot be set.
    by_boot = (moment - since.at) - (now.boot - since.boot)
    return max(by_wall, by_boot - TOLERATED_JUMP_SECONDS)
