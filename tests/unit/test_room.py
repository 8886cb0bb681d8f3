"""A disk that fills up is seen before a turn has to be recorded."""

from __future__ import annotations

import pytest

from reconciler.errors import WriteFailed
from tests.unit.test_turn_taking import Turns


async def full() -> None:
    raise WriteFailed("the journal cannot be written: No space left on device")


def test_a_disk_that_fills_up_is_told_of_although_nobody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def day(turns: Turns) -> None:
        assert await turns.taken(within=1.0) is None
        assert turns.lobby.trouble == ""
        monkeypatch.setattr(turns.journal, "check_room", full)
        assert await turns.taken(within=1.0) is None
        assert "No space left" in (turns.lobby.trouble or "")
        monkeypatch.undo()
        assert await turns.taken(within=1.0) is None
        assert turns.lobby.trouble == ""

    turns = Turns()
    turns.clock.run(day, turns)
    assert turns.told() == []
