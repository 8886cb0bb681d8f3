"""What clients left in an engine's slots is told, saved, and back in its place, or stays cold."""

from __future__ import annotations

from typing import Any

from reconciler.model.facts import (
    TRIVIAL_TOKENS,
    Activity,
    Saved,
)
from tests.contracts.benches import Bench
from tests.contracts.ports.units import (
    kept,
    outcomes,
    save,
    serving,
    slots,
)
from tests.rig import value

LEAST_REUSED = 0.95


async def saved_and_stopped(bench: Bench) -> None:
    async with serving(bench) as unit:
        await bench.talk(300)
        assert (await save(bench, unit))["failed"] == []


async def test_slots_say_what_clients_left_in_them(bench: Bench) -> None:
    async with serving(bench) as unit:
        assert [(slot.id, slot.busy, slot.tokens) for slot in await slots(bench, unit)] == [
            (0, False, None),
            (1, False, None),
        ]
        assert await bench.talk(300) <= 0.05
        first, other = await slots(bench, unit)
        assert (first.holds_conversation, other.holds_conversation) == (True, False)
        assert await bench.talk(310) >= LEAST_REUSED
        second, _ = await slots(bench, unit)
        assert (second.tokens or 0) > (first.tokens or 0)
        assert second.task not in {None, first.task}
        async with bench.talking():
            activity: Activity = value(await bench.engine.activity(unit))
            assert [slot.busy for slot in activity.slots] == [True, False]
            assert activity.in_flight == 1


async def test_an_answer_is_given_beside_every_conversation(bench: Bench) -> None:
    async with serving(bench) as unit:
        assert value(await bench.engine.answer(unit)).identity == unit.identity
        assert 0 < ((await slots(bench, unit))[0].tokens or 0) <= TRIVIAL_TOKENS
        await bench.talk(300, slot=0)
        before = (await slots(bench, unit))[0]
        assert value(await bench.engine.answer(unit)).identity == unit.identity
        assert (await slots(bench, unit))[0] == before
        await bench.talk(300, slot=1)
        full = await slots(bench, unit)
        assert value(await bench.engine.answer(unit)).identity == unit.identity
        assert await slots(bench, unit) == full


async def test_a_saved_slot_says_where_it_came_from_and_the_next_one_replaces_it(
    bench: Bench,
) -> None:
    async with serving(bench) as unit:
        assert await save(bench, unit) == {"slots": [], "failed": []}
        assert await kept(bench) == ()
        for words in (300, 320):
            await bench.talk(words)
            held = (await slots(bench, unit))[0]
            evidence = await save(bench, unit)
            (one,) = await kept(bench)
            assert [(slot["slot"], slot["tokens"]) for slot in evidence["slots"]] == [
                (0, one.tokens)
            ]
            assert (one.identity, one.slot, one.task, one.slot_tokens) == (
                unit.identity,
                0,
                held.task,
                held.tokens,
            )
            assert one.tokens in {held.tokens, (held.tokens or 0) - 1}
            assert one.fingerprint == value(await bench.files.fingerprint()).digest
            assert one.attempts == ()


async def test_a_busy_slot_is_not_saved_and_the_last_good_one_stays(bench: Bench) -> None:
    async with serving(bench) as unit:
        await bench.talk(300)
        await save(bench, unit)
        before = await kept(bench)
        held = Activity(identity=unit.identity, slots=tuple(await slots(bench, unit)))
        async with bench.talking():
            evidence: Any = await bench.engine.save(unit, held)
        assert evidence["slots"] == []
        assert "slot 0 was not saved: it is generating" in str(evidence["failed"])
        assert await kept(bench) == before


async def test_every_slot_comes_back_in_its_place_and_is_proven(bench: Bench) -> None:
    async with serving(bench) as unit:
        await bench.talk(300, slot=0)
        await bench.talk(200, slot=1)
        await save(bench, unit)
    saved = await kept(bench)
    async with serving(bench) as unit:
        assert value(await bench.engine.answer(unit)).identity == unit.identity
        assert await outcomes(bench, unit) == ["proven", "proven"]
        assert [slot.tokens for slot in await slots(bench, unit)] == [one.tokens for one in saved]
        assert min(await bench.talk(300, slot=0), await bench.talk(200, slot=1)) >= LEAST_REUSED


async def test_what_clients_have_in_a_slot_is_never_overwritten(bench: Bench) -> None:
    await saved_and_stopped(bench)
    async with serving(bench) as unit:
        await bench.talk(50)
        held = await slots(bench, unit)
        assert await outcomes(bench, unit) == ["cold"]
        assert await slots(bench, unit) == held
        assert await bench.talk(50) >= LEAST_REUSED


async def test_a_slot_that_was_restored_once_is_its_clients(bench: Bench) -> None:
    await saved_and_stopped(bench)
    async with serving(bench) as unit:
        assert await outcomes(bench, unit) == ["proven"]
        assert await outcomes(bench, unit) == ["cold"]
        (one,) = await kept(bench)
        assert [tried.outcome for tried in one.attempts] == ["proven", "cold"]


async def test_a_damaged_file_stays_cold_and_the_engine_as_good_as_it_was(bench: Bench) -> None:
    await saved_and_stopped(bench)
    bench.damage()
    await stays_cold(bench)


async def test_what_was_saved_by_another_build_stays_cold(bench: Bench) -> None:
    await saved_and_stopped(bench)
    before = value(await bench.files.fingerprint()).digest
    bench.rebuild()
    assert value(await bench.files.fingerprint()).digest != before
    await stays_cold(bench)


async def stays_cold(bench: Bench) -> None:
    async with serving(bench) as unit:
        assert await outcomes(bench, unit) == ["cold"]
        assert [slot.holds_conversation for slot in await slots(bench, unit)] == [False, False]
        assert value(await bench.engine.answer(unit)).identity == unit.identity


async def test_a_slot_that_the_engine_has_no_more_stays_cold(bench: Bench) -> None:
    async with serving(bench) as unit:
        await bench.talk(300, slot=0)
        await bench.talk(200, slot=1)
        await save(bench, unit)
    _, second = await kept(bench)
    narrow = bench.narrow()
    async with serving(narrow) as unit:
        evidence: Any = await narrow.engine.restore(unit, Saved(slots=(second,)))
        assert [slot["outcome"] for slot in evidence["slots"]] == ["cold"]
