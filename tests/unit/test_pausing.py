"""How long new requests of a model wait because another one has its turn next."""

from __future__ import annotations

import anyio
import pytest

from tests.unit.test_live_tally import told
from tests.unit.test_turn_taking import Turns, serving, waiting


def test_a_pause_lasts_until_the_turn_begins() -> None:
    async def day(turns: Turns) -> None:
        began = turns.clock.now
        turns.lobby.set(a=serving(began, in_flight=1), b=waiting(began))
        async with anyio.create_task_group() as group:
            group.start_soon(ends, turns, began)
            assert await turns.taken() == pytest.approx(40.0)

    async def ends(turns: Turns, began: float) -> None:
        await anyio.sleep(40.0)
        turns.lobby.set(a=serving(began, used=turns.clock.now))

    turns = Turns()
    turns.clock.run(day, turns)
    assert 'turns_paused_seconds_sum{model="a"} 10' in told(turns.tally), "from 30 s to 40 s"
    assert 'turns_paused_seconds_count{model="a"} 1' in told(turns.tally)


def test_a_pause_ends_without_a_turn_when_nobody_waits_for_it_any_more() -> None:
    async def day(turns: Turns) -> None:
        began = turns.clock.now
        turns.lobby.set(a=serving(began - 30.0, in_flight=1), b=waiting(began))
        async with anyio.create_task_group() as group:
            group.start_soon(leaves, turns)
            assert await turns.taken(within=60.0) is None

    async def leaves(turns: Turns) -> None:
        await anyio.sleep(5.0)
        turns.lobby.set(b=serving(turns.clock.now).model_copy(update={"since": None}))

    turns = Turns()
    turns.clock.run(day, turns)
    assert 'turns_paused_seconds_sum{model="a"} 5' in told(turns.tally)
