"""Whose turn it is, recorded: what requests want becomes rows, and what they are told."""

from __future__ import annotations

import anyio
import pytest

from reconciler.core.canonical import digest
from reconciler.core.live_tally import LiveTally
from reconciler.errors import WriteFailed
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.journal import MemoryJournal
from reconciler.fakes.life import Life, MortalJournal
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.turn_taking import TurnTaking
from reconciler.model.leasing import Idled, Leased, Released, Roused, Term
from reconciler.model.lending import Demand, Idle, Rules
from reconciler.model.records import Hold, Record, Row, StepIntent
from reconciler.model.spec import Slice
from tests.hand_lobby import HandLobby
from tests.sample_worlds import HOST, model, slice_of

A, B, C = model("a"), model("b"), model("c")
ONE = slice_of(("a",), A, B, C)
RULES = Rules(allow=("a", "b", "c"), min_residency=30.0, return_after=300.0)


class FullAtTimes(MortalJournal):
    """A journal whose disk may be full."""

    is_full = False

    async def append(self, record: Record) -> Row:
        if self.is_full:
            raise WriteFailed("the journal cannot be written: No space left on device")
        return await super().append(record)


class Turns:
    """One host's turns in the time of a clock that is turned."""

    def __init__(self, wanted: Slice = ONE, rules: Rules = RULES) -> None:
        self.clock = TurnedClock()
        self.rows = MemoryJournal(self.clock)
        self.lobby = HandLobby()
        self.wanted, self.rules = wanted, rules
        self.said: list[str] = []
        self.idles = False
        self.journal = FullAtTimes(self.rows, Life())
        self.cache = HintsCache(self.journal)
        self.tally, say = LiveTally(), self.said.append
        self.taking = TurnTaking(self.lobby, self.cache, self.clock, say, self.tally)

    async def taken(
        self, within: float = 1e6, stuck: str = "", *, sleeps: bool = False
    ) -> float | None:
        """Wait for a turn; the seconds that took, None where none came in time."""
        began = self.clock.now
        with anyio.move_on_after(within):
            self.idles = await self.taking.taken(self.wanted, self.rules, stuck, sleeps=sleeps)
            return self.clock.now - began
        return None

    def told(self) -> list[tuple[str, str]]:
        records = [row.record for row in self.rows.rows()]
        return [
            (record.kind, record.model)
            for record in records
            if isinstance(record, Leased | Released)
        ]


def serving(since: float, **changed: float) -> Demand:
    return Demand(since=since, **changed)  # type: ignore[arg-type]


def waiting(since: float) -> Demand:
    return Demand(waiting=1, oldest=since)


def test_what_gives_way_to_a_turn_is_told_until_it_comes_back() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(a=serving(turns.clock.now), b=waiting(turns.clock.now))
        await turns.taken()
        assert turns.lobby.displaced == frozenset()
        turns.lobby.set(a=Demand(), b=serving(turns.clock.now))
        assert await turns.taken(within=1.0) is None
        assert turns.lobby.displaced == {"a"}

    turns = Turns()
    turns.clock.run(day, turns)


def test_a_model_that_is_asked_for_gets_its_turn_when_the_other_had_its_time() -> None:
    async def day(turns: Turns) -> None:
        now = turns.clock.now
        turns.lobby.set(a=serving(now, in_flight=1), b=waiting(now))
        async with anyio.create_task_group() as group:
            group.start_soon(ends, turns)
            assert await turns.taken() == pytest.approx(40.0)
        assert turns.lobby.paused == {"a"}

    async def ends(turns: Turns) -> None:
        began = turns.clock.now
        await anyio.sleep(20.0)
        assert turns.lobby.paused == set()
        await anyio.sleep(20.0)
        assert turns.lobby.paused == {"a"}, "its time is over, and it is waited for"
        turns.lobby.set(a=serving(began, used=turns.clock.now))

    turns = Turns()
    turns.clock.run(day, turns)
    assert turns.told() == [("leased", "b")]


def test_a_lease_names_the_request_that_waited_longest() -> None:
    async def day(turns: Turns) -> None:
        asked = Demand(waiting=1, oldest=turns.clock.now, request="mine-1234")
        turns.lobby.set(a=serving(turns.clock.now), b=asked)
        await turns.taken()

    turns = Turns()
    turns.clock.run(day, turns)
    (lease,) = (row.record for row in turns.rows.rows())
    assert isinstance(lease, Leased)
    assert lease.request == "mine-1234"


def test_what_the_file_wants_comes_back_when_nothing_asks_or_when_it_is_asked_for() -> None:
    async def unused(turns: Turns) -> None:
        turns.lobby.set(b=serving(turns.clock.now))
        assert await turns.taken() == pytest.approx(300.0)

    async def asked(turns: Turns) -> None:
        turns.lobby.set(b=serving(turns.clock.now), a=waiting(turns.clock.now))
        assert await turns.taken() == pytest.approx(1.0), "unused for the grace of a switch"

    for day in (unused, asked):
        turns = Turns()
        turns.rows.append(Leased(host=HOST, model="b", wanted=digest(ONE)))
        turns.clock.run(day, turns)
        assert turns.told() == [("leased", "b"), ("released", "b")]


def test_one_that_is_lent_makes_way_for_another_and_the_newest_is_recorded_first() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(b=serving(turns.clock.now), c=waiting(turns.clock.now))
        await turns.taken()

    turns = Turns()
    turns.rows.append(Leased(host=HOST, model="b", wanted=digest(ONE)))
    turns.clock.run(day, turns)
    assert turns.told() == [("leased", "b"), ("leased", "c"), ("released", "b")]


def test_what_serves_after_a_failure_is_not_theirs_to_end() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(c=serving(turns.clock.now))
        assert await turns.taken(within=1000.0) is None

    turns = Turns()
    turns.clock.run(day, turns)
    assert turns.told() == []


def test_the_end_of_the_last_request_need_not_be_heard() -> None:
    async def day(turns: Turns) -> None:
        began = turns.clock.now
        turns.lobby.set(b=serving(began, in_flight=1))
        async with anyio.create_task_group() as group:
            group.start_soon(ends, turns)
            assert await turns.taken() == pytest.approx(350.0)

    async def ends(turns: Turns) -> None:
        began = turns.clock.now
        await anyio.sleep(50.0)
        turns.lobby.wanted["b"] = serving(began, used=turns.clock.now)

    turns = Turns()
    turns.rows.append(Leased(host=HOST, model="b", wanted=digest(ONE)))
    turns.clock.run(day, turns)
    assert turns.told() == [("leased", "b"), ("released", "b")]


def test_no_turn_is_taken_that_would_change_nothing() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(a=waiting(turns.clock.now))
        assert await turns.taken(within=1000.0) is None

    turns = Turns()
    turns.clock.run(day, turns)
    assert turns.told() == []


def test_requests_for_what_cannot_be_brought_about_take_no_other_models_place() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(b=serving(turns.clock.now - 100.0), a=waiting(turns.clock.now))
        assert await turns.taken(within=100.0, stuck="no room") is None
        assert turns.lobby.paused == set()
        assert turns.lobby.explained == {"a": "no room"}
        assert await turns.taken(within=100.0) is not None

    turns = Turns()
    turns.rows.append(Leased(host=HOST, model="b", wanted=digest(ONE)))
    turns.clock.run(day, turns)
    assert turns.told() == [("leased", "b"), ("released", "b")]


def test_on_a_full_disk_what_serves_serves_on_and_the_turn_comes_when_there_is_room() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(a=serving(turns.clock.now - 100.0), b=waiting(turns.clock.now))
        turns.journal.is_full = True
        assert await turns.taken(within=100.0) is None
        assert turns.lobby.paused == set()
        assert "No space left" in turns.said[0]
        assert "No space left" in (turns.lobby.trouble or "")
        turns.journal.is_full = False
        assert await turns.taken(within=100.0) is not None
        assert turns.lobby.trouble == ""

    turns = Turns()
    turns.clock.run(day, turns)
    assert turns.told() == [("leased", "b")]


def test_who_would_wait_in_vain_is_told_and_takes_no_turn() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(a=serving(turns.clock.now), b=waiting(turns.clock.now))
        assert await turns.taken(within=1000.0) is None

    turns = Turns()
    turns.rows.append(Hold(host=HOST, reason="a game"))
    turns.clock.run(day, turns)
    assert turns.told() == []
    assert turns.lobby.refused["b"].startswith("held: a game")


def test_what_a_person_took_stays_and_who_wants_its_place_is_told() -> None:
    async def day(turns: Turns) -> None:
        await turns.taking.tell(turns.wanted, turns.rules)
        assert turns.lobby.refused.keys() == {"a", "c"}, "before the pass that brings it in"
        turns.lobby.set(b=waiting(0.0), a=serving(0.0), c=waiting(0.0))
        assert await turns.taken(within=1000.0) is None, "no request takes it over"
        turns.lobby.set(b=serving(0.0), c=waiting(0.0))
        assert await turns.taken(within=1000.0) is None
        assert turns.lobby.expected == {"b"}
        assert turns.lobby.paused == set()
        assert turns.lobby.refused["c"].startswith("ann uses b until ")

    turns = Turns()
    term = Term(by="ann", until=turns.clock.wall() + 7200.0)
    turns.rows.append(Leased(host=HOST, model="b", wanted=digest(ONE), term=term))
    turns.clock.run(day, turns)
    assert turns.told() == [("leased", "b")]


RESTS = Rules(allow=("b",), idle=Idle(after=600.0, then="suspend"), sleeps=True)


def test_a_host_may_rest_once_no_request_came_for_long_and_who_comes_then_waits() -> None:
    async def day(turns: Turns) -> None:
        began = turns.clock.now
        turns.lobby.set(a=serving(began, in_flight=1), b=Demand())
        async with anyio.create_task_group() as group:
            group.start_soon(ends, turns)
            assert await turns.taken() == pytest.approx(650.0)
        assert turns.idles
        assert turns.lobby.paused == {"a", "b", "c"}

    async def ends(turns: Turns) -> None:
        began = turns.clock.now
        await anyio.sleep(50.0)
        # The end of the last request need not be heard.
        turns.lobby.wanted["a"] = serving(began, used=turns.clock.now)

    turns = Turns(rules=RESTS)
    turns.clock.run(day, turns)
    assert turns.told() == []


@pytest.mark.parametrize("kept", ["held", "taken", "asleep", "could not", "rests"])
def test_what_keeps_a_host_from_coming_to_rest(kept: str) -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(a=serving(turns.clock.now))
        assert await turns.taken(within=605.0, sleeps=kept == "asleep") is None

    turns = Turns(rules=RESTS)
    wanted, until = digest(ONE), turns.clock.wall() + 7200.0
    refused = Roused(host=HOST, because="ann is logged in", failed=wanted)
    records: dict[str, tuple[Record, ...]] = {
        "held": (Hold(host=HOST, reason="a game"),),
        "taken": (Leased(host=HOST, model="a", wanted=wanted, term=Term(by="ann", until=until)),),
        "could not": (refused,) * 7,
        "rests": (Idled(host=HOST, then="suspend", wanted=wanted, boot_id="boot"),),
    }
    for record in records.get(kept, ()):
        turns.rows.append(record)
    turns.clock.run(day, turns)


@pytest.mark.parametrize("model", ["a", "b"])
def test_a_host_that_sleeps_is_woken_for_the_model_that_is_asked_for(model: str) -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(**{name: Demand() for name in "ab"})
        async with anyio.create_task_group() as group:
            group.start_soon(asks, turns)
            assert await turns.taken(stuck="it does not answer", sleeps=True) == 50.0
        assert not turns.idles
        assert model in turns.lobby.explained

    async def asks(turns: Turns) -> None:
        await anyio.sleep(50.0)
        assert turns.lobby.resting == {"a", "b", "c"}
        await turns.taking.tell(turns.wanted, turns.rules)
        assert turns.lobby.resting == {"a", "b", "c"}, "while it is looked at, too"
        turns.lobby.set(**{model: waiting(turns.clock.now)})

    turns = Turns(rules=RESTS)
    turns.clock.run(day, turns)
    assert turns.told() == [("leased", model)]


def test_the_lease_that_woke_a_host_for_the_files_model_is_over_when_that_serves() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(a=serving(turns.clock.now, in_flight=1))
        assert await turns.taken(within=10.0) is None

    turns = Turns(rules=RESTS)
    turns.rows.append(Leased(host=HOST, model="a", wanted=digest(ONE)))
    turns.clock.run(day, turns)
    assert turns.told() == [("leased", "a"), ("released", "a")]


@pytest.mark.parametrize("is_told", [False, True])
def test_a_request_that_comes_while_its_host_goes_to_rest_ends_that(is_told: bool) -> None:
    """A host that was told to go down is waited for, and woken then."""

    async def day(turns: Turns) -> None:
        turns.lobby.set(a=serving(turns.clock.now))
        interrupt = Interrupt()
        async with anyio.create_task_group() as group:
            group.start_soon(turns.taking.asked, HOST, interrupt)
            await anyio.sleep(50.0)
            assert not interrupt.reason
            turns.lobby.set(a=serving(turns.clock.now, waiting=1, oldest=turns.clock.now))
        assert (interrupt.reason == "a request came before it rested") == (not is_told)

    turns = Turns(rules=RESTS)
    going = StepIntent(host=HOST, run=1, number=1, step="shutdown", in_doubt="irreversible")
    if is_told:
        turns.rows.append(going)
    turns.clock.run(day, turns)
    assert [row.record.kind for row in turns.rows.rows()] == [going.kind if is_told else "roused"]


def test_on_a_full_disk_a_host_goes_on_to_rest_and_is_woken_when_that_can_be_recorded() -> None:
    async def day(turns: Turns) -> None:
        turns.lobby.set(a=waiting(turns.clock.now))
        turns.journal.is_full = True
        await turns.taking.asked(HOST, interrupt)

    turns, interrupt = Turns(rules=RESTS), Interrupt()
    turns.clock.run(day, turns)
    assert not interrupt.reason
