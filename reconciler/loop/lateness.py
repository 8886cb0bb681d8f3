"""Lateness: how late the event loop turns while a pass is under way."""

from __future__ import annotations

from anyio import current_time, sleep_until

from reconciler.core.live_tally import LiveTally

EACH_SECONDS = 0.02


async def noted(tally: LiveTally) -> None:
    """Look all the time, until cancelled; a switch is over before a look a second saw much."""
    while True:
        due = current_time() + EACH_SECONDS
        await sleep_until(due)
        tally.lagged(current_time() - due)
