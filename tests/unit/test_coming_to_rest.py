"""When a host comes to rest on which nothing serves, or that something kept from it."""

from __future__ import annotations

import anyio
import pytest

from reconciler.loop.turn_taking import AGAIN_SECONDS
from reconciler.model.lending import Demand
from tests.unit.test_turn_taking import RESTS, Turns, serving, waiting


def test_a_host_that_is_on_for_nothing_rests_and_not_before_nobody_waited_for_long() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(a=waiting(turns.clock.now))
        async with anyio.create_task_group() as group:
            group.start_soon(leaves, turns)
            assert await turns.taken(stuck="no room") == pytest.approx(650.0)
        assert turns.idles

    async def leaves(turns: Turns) -> None:
        await anyio.sleep(50.0)
        turns.lobby.set(a=Demand())

    turns = Turns(rules=RESTS)
    turns.clock.run(day, turns)


def test_what_kept_a_host_from_coming_to_rest_is_looked_at_again_after_a_while() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(a=serving(turns.clock.now - 700.0))
        assert await turns.taken() == pytest.approx(600.0)
        assert await turns.taken() == pytest.approx(AGAIN_SECONDS)

    turns = Turns(rules=RESTS)
    turns.clock.run(day, turns)
