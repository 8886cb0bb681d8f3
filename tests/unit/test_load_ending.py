"""What is being brought in for requests, and none waits for any more, is ended and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

import anyio
import pytest

from reconciler.core.canonical import digest
from reconciler.core.turns import NEARLY_DONE, PATIENCE_SECONDS
from reconciler.loop.beside import beside
from reconciler.loop.load_ending import AGAIN_SECONDS, LoadEnding
from reconciler.model.leasing import Leased, Term
from reconciler.model.lending import Demand
from reconciler.model.records import StepDone
from reconciler.model.spec import Slice
from tests.sample_worlds import HOST, slice_of
from tests.unit.test_turn_taking import ONE, RULES, Turns, waiting

GONE = Demand()
LONG = 60.0
Asked: TypeAlias = Sequence[tuple[float, Demand]]
LENT = Leased(host=HOST, model="b", wanted=digest(ONE))


class Pass(Turns):
    """A pass that brings b in for a request whose client goes, and perhaps asks again."""

    def __init__(self, lease: Leased = LENT) -> None:
        super().__init__()
        self.since = self.clock.now
        self.rows.append(lease)
        self.lobby.set(b=waiting(self.clock.now))

    def ended(self, *demands: tuple[float, Demand], active: str = "a") -> float | None:
        """When the load was ended, None where it was not; `demands` come at their moments."""
        return self.clock.run(self._watched, demands, slice_of((active,), *ONE.models))

    async def _watched(self, demands: Asked, wanted: Slice) -> float | None:
        began = self.clock.now
        loads = LoadEnding(self.lobby, self.cache, self.clock, self.since)
        with anyio.move_on_after(LONG):
            async with beside(partial(self._ask, demands)):
                assert await loads.ended(wanted, RULES) == "no request waits for b any more"
            return self.clock.now - began
        return None

    async def _ask(self, demands: Asked) -> None:
        began = self.clock.now
        for at, demand in demands:
            await anyio.sleep(began + at - self.clock.now)
            self.lobby.set(b=demand)

    def took(self, **seconds: float) -> None:
        """Let steps about b have taken so long once."""
        for number, (step, lasted) in enumerate(seconds.items()):
            model = "a" if step == "stop" else "b"
            self.rows.append(
                StepDone(
                    host=HOST, run=2, number=number, step=step, model=model, outcome="done",
                    seconds=lasted,
                )
            )  # fmt: skip


def test_it_ends_when_its_client_has_been_gone_for_a_moment() -> None:
    there = Pass()
    assert there.ended((10.0, GONE)) == pytest.approx(10.0 + PATIENCE_SECONDS)
    assert there.told() == [("leased", "b"), ("released", "b")]


def test_a_client_that_asks_again_at_once_finds_it_on_its_way() -> None:
    there = Pass()
    assert there.ended((10.0, GONE), (11.0, waiting(11.0))) is None
    assert there.told() == [("leased", "b")]


@pytest.mark.parametrize(("gone", "ends"), [(10.0, True), (15.0, False)])
def test_it_is_brought_to_its_end_where_it_is_nearly_done(gone: float, ends: bool) -> None:
    there = Pass()
    there.took(start=4.0, await_healthy=12.0, stop=4.0)
    assert (gone + PATIENCE_SECONDS < NEARLY_DONE * 20.0) == ends
    assert (there.ended((gone, GONE)) is not None) == ends


def test_what_has_answered_is_no_load_any_more() -> None:
    there = Pass()
    assert there.ended((10.0, Demand(since=1e9)), (20.0, Demand(used=1e9))) is None


@pytest.mark.parametrize(
    "lease",
    [LENT.model_copy(update={"term": Term(by="ann", until=1e12)}), LENT],
    ids=["a person", "requests, before this began"],
)
def test_what_others_lent_is_not_theirs_to_end(lease: Leased) -> None:
    there = Pass(lease)
    there.since += 0.0 if lease.term else 1.0
    assert there.ended((10.0, GONE)) is None


def test_what_the_file_wants_is_brought_in_for_nobody_too() -> None:
    there = Pass(LENT.model_copy(update={"wanted": digest(slice_of(("b",), *ONE.models))}))
    assert there.ended((10.0, GONE), active="b") is None


def test_where_that_cannot_be_recorded_it_goes_on_for_a_while() -> None:
    there = Pass()
    there.journal.is_full = True

    async def empties() -> None:
        await anyio.sleep(20.0)
        there.journal.is_full = False

    async def watched() -> float | None:
        async with beside(empties):
            return await there._watched([(10.0, GONE)], ONE)

    assert there.clock.run(watched) == pytest.approx(10.0 + PATIENCE_SECONDS + AGAIN_SECONDS)


def test_what_is_raised_beside_a_watch_comes_out_as_it_is() -> None:
    async def raises() -> None:
        async with beside(anyio.sleep_forever):
            raise KeyError("x")

    with pytest.raises(KeyError):
        anyio.run(raises)
