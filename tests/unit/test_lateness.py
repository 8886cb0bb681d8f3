"""How late the event loop is, while something is under way."""

from __future__ import annotations

import time

import anyio

from reconciler.core.live_tally import LiveTally
from reconciler.loop import lateness
from tests.unit.test_live_tally import told


async def test_a_loop_that_is_held_up_is_seen_to_be_late() -> None:
    tally = LiveTally()
    async with anyio.create_task_group() as group:
        group.start_soon(lateness.noted, tally)
        await anyio.sleep(2 * lateness.EACH_SECONDS)
        time.sleep(3 * lateness.EACH_SECONDS)  # noqa: ASYNC251 - this is what is to be seen
        await anyio.sleep(lateness.EACH_SECONDS)
        group.cancel_scope.cancel()
    looks = [line for line in told(tally) if line.startswith("pass_lag_seconds_sum")]
    assert float(looks[0].split()[1]) > lateness.EACH_SECONDS
