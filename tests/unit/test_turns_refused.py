"""Turns where the files are not to be carried out as they are (`apply_from`)."""

from __future__ import annotations

import anyio

from reconciler.core.canonical import digest
from reconciler.model.leasing import Leased
from tests.sample_worlds import HOST
from tests.unit.test_turn_taking import ONE, Turns, serving, waiting

WHY = "desired.yaml is not as in commit 4f1c2ab; commit what changed"


def test_no_turn_is_taken_what_was_granted_stays_and_who_asks_for_more_is_told_why() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(b=serving(turns.clock.now), c=waiting(turns.clock.now))
        taken = turns.taking.taken(turns.wanted, turns.rules, objection=WHY)
        with anyio.move_on_after(10_000.0):
            await taken
        assert turns.lobby.refused == dict.fromkeys("abc", WHY), "as far as they do not serve"
        assert turns.lobby.paused == set()

    turns = Turns()
    turns.rows.append(Leased(host=HOST, model="b", wanted=digest(ONE)))
    turns.clock.run(day, turns)
    assert turns.told() == [("leased", "b")]
