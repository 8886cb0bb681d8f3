"""What every set of ports promises: the fakes that the rest is tested with keep the same contracts
as a real host.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from reconciler.errors import DriverError
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.world import World
from reconciler.model.facts import (
    TRIVIAL_TOKENS,
    Activity,
    Claim,
    Known,
    Mark,
    Saved,
    SavedSlot,
    Slot,
    Unit,
    UnitIdentity,
    Unknown,
)
from reconciler.model.gpu import Gpu
from reconciler.model.onhost.host import AskContact, AskGpus, WriteClaim
from reconciler.model.onhost.slots import CheckSlot
from reconciler.model.port import PortState
from tests import running
from tests.contracts.benches import Bench, bench_of, contains
from tests.engine import SERVERS, Server
from tests.rig import value
from tests.sample_worlds import marked

CONTROLLER = running.mark("")["controller"]
CLAIM = Claim(controller="c1", name="attic", directory="/var/lib/reconciler", at=1.0)
READY_WITHIN = 60.0
LEAST_REUSED = 0.95


@pytest.fixture(params=[None, *SERVERS], ids=lambda one: str(one or "world"))
def place(request: pytest.FixtureRequest) -> Server | None:
    return cast("Server | None", request.param)


@pytest.fixture
def world() -> World:
    return World(TurnedClock())


@pytest.fixture
def anyio_backend(place: Server | None, world: World) -> tuple[str, dict[str, Any]]:
    """Let the waits of a world take no time."""
    return "asyncio", {"loop_factory": world.clock.loop} if place is None else {}


@pytest.fixture
def bench(place: Server | None, world: World, tmp_path: Path) -> Iterator[Bench]:
    with running.ending_all():
        yield bench_of(place, world, tmp_path)
    assert {wrong for wrong in world.violations if "without its intent" not in wrong} == set()


async def started(bench: Bench) -> Unit:
    evidence = await bench.launcher.start(bench.model, marked(bench.model, CONTROLLER))
    (unit,) = await ours(bench)
    assert unit.identity == UnitIdentity.model_validate(evidence["identity"])
    return unit


async def ours(bench: Bench) -> list[Unit]:
    return [
        unit for unit in value(await bench.launcher.units()) if unit.mark.controller == CONTROLLER
    ]


async def until_ready(bench: Bench, unit: Unit) -> Unit:
    with anyio.fail_after(READY_WITHIN):
        while (health := value(await bench.engine.health(unit))).phase != "ready":
            assert (health.phase, health.identity) == ("loading", unit.identity)
            await anyio.sleep(0.01)
    assert health.identity == unit.identity
    return unit


@asynccontextmanager
async def serving(bench: Bench) -> AsyncIterator[Unit]:
    """Serve the model inside the context."""
    unit = await until_ready(bench, await started(bench))
    yield unit
    await bench.launcher.stop(unit, 3)


async def slots(bench: Bench, unit: Unit) -> Sequence[Slot]:
    activity: Activity = value(await bench.engine.activity(unit))
    assert activity.identity == unit.identity
    return activity.slots


async def save(bench: Bench, unit: Unit) -> Any:
    return await bench.engine.save(unit, value(await bench.engine.activity(unit)))


async def kept(bench: Bench) -> tuple[SavedSlot, ...]:
    return tuple(value(await bench.files.saved()).slots)


async def outcomes(bench: Bench, unit: Unit) -> list[str]:
    """Restore what is saved; return what came of each slot, which its sidecar has to say too."""
    evidence: Any = await bench.engine.restore(unit, value(await bench.files.saved()))
    came = [slot["outcome"] for slot in evidence["slots"]]
    noted = [one.attempts[-1] for one in await kept(bench)]
    assert [(tried.identity, tried.outcome) for tried in noted] == [
        (unit.identity, outcome) for outcome in came
    ]
    return came


async def saved_and_stopped(bench: Bench) -> None:
    async with serving(bench) as unit:
        await bench.talk(300)
        assert (await save(bench, unit))["failed"] == []


async def test_every_question_has_one_answer(bench: Bench) -> None:
    contact = value(await bench.access.contact())
    assert contact.boot_id
    assert await bench.access.contact() == Known(contact)
    assert len(await bench.access.ask([AskContact(), AskGpus(), AskContact()])) == 3
    assert await bench.access.ask([]) == ()
    assert isinstance(await bench.power.testimony(), Known)
    assert isinstance(await bench.power.guards("off"), Known)
    assert await bench.gpu.gpu() == Known(Gpu())


async def test_an_action_that_fails_raises(bench: Bench) -> None:
    with pytest.raises(DriverError):
        await bench.access.act(CheckSlot(directory="models/m/slots", file="none.kv"))


async def test_a_claim_is_nobodys_then_ours_refused_to_others_and_taken_over_when_told(
    bench: Bench,
) -> None:
    other = CLAIM.model_copy(update={"controller": "c2", "name": "den"})
    assert await bench.access.claim() == Known(None)
    for _ in range(2):
        await bench.access.act(WriteClaim(claim=CLAIM))
        assert await bench.access.claim() == Known(CLAIM)
    with pytest.raises(DriverError, match="claimed by controller attic"):
        await bench.access.act(WriteClaim(claim=other))
    assert await bench.access.claim() == Known(CLAIM)
    await bench.access.act(WriteClaim(claim=other, take_over=True))
    assert await bench.access.claim() == Known(other)


async def test_a_unit_carries_its_mark_and_owns_its_port_until_it_is_stopped(bench: Bench) -> None:
    assert await bench.access.port(bench.model.port) == Known(PortState())
    assert await ours(bench) == []
    unit = await until_ready(bench, await started(bench))
    assert unit.mark == Mark(
        controller=CONTROLLER, model="m", digest=bench.model.digest, port=bench.model.port
    )
    assert unit.identity.boot_id == value(await bench.access.contact()).boot_id
    assert unit.identity.pid in unit.members
    assert unit.leader
    assert [one.identity for one in await ours(bench)] == [unit.identity]
    owner = value(await bench.access.port(bench.model.port)).owner
    assert (owner.pid, owner.model) == (unit.identity.pid, "m")
    evidence = await bench.launcher.stop(unit, 3)
    assert (evidence["gone"], evidence["rungs"]) == (True, ["term"])
    assert await ours(bench) == []
    assert await bench.access.port(bench.model.port) == Known(PortState())


async def test_a_stop_of_what_is_gone_is_done_already_and_touches_nobody(bench: Bench) -> None:
    async with serving(bench) as unit:
        first = unit
    async with serving(bench) as unit:
        forged = unit.identity.model_copy(update={"start": unit.identity.start - 1})
        elsewhere = unit.identity.model_copy(update={"boot_id": "another"})
        for gone in (first.identity, forged, elsewhere):
            evidence = await bench.launcher.stop(unit.model_copy(update={"identity": gone}), 3)
            assert (evidence["gone"], evidence["rungs"]) == (True, [])
        assert [one.identity for one in await ours(bench)] == [unit.identity]
        assert value(await bench.engine.health(unit)).phase == "ready"


async def test_changes_end_when_the_unit_is_gone_and_at_once_when_it_was(bench: Bench) -> None:
    unit = await started(bench)
    looks = 0
    with anyio.fail_after(READY_WITHIN):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.launcher.stop, unit, 3)
            async for _ in bench.access.changes(unit.identity):
                looks += 1
    assert looks == 1
    assert [look async for look in bench.access.changes(unit.identity)] == []


async def test_a_program_that_is_not_there_is_said_and_starts_nothing(bench: Bench) -> None:
    assert value(await bench.launcher.binary(bench.model)).problem == ""
    broken = bench.lose_program()
    assert "there is no program" in value(await bench.launcher.binary(broken)).problem
    with pytest.raises(DriverError, match="there is no"):
        await bench.launcher.start(broken, marked(broken, CONTROLLER))
    assert await ours(bench) == []


async def test_a_log_is_of_what_engines_wrote_one_after_the_other(bench: Bench) -> None:
    assert value(await bench.launcher.log("m")).lines == ()
    async with serving(bench) as unit:
        first = value(await bench.launcher.log("m")).lines
        assert 0 < len(first) <= 20
        bench.crash(unit)
        assert contains(value(await bench.launcher.log("m", 1000)).lines, first)


async def test_after_the_end_of_a_part_of_a_log_comes_what_was_written_since(bench: Bench) -> None:
    async with serving(bench):
        first = value(await bench.launcher.log("m", 1))
    assert len(first.lines) == 1
    async with serving(bench):
        newest = value(await bench.launcher.log("m", 1000)).lines
        since = value(await bench.launcher.log("m", 1000, first.end)).lines
    assert contains(since, newest)


async def test_an_engine_is_asked_where_it_listens_and_not_where_its_definition_moved_it(
    bench: Bench,
) -> None:
    async with serving(bench) as unit:
        assert await bench.moved().health(unit) == await bench.engine.health(unit)


async def test_an_engine_that_died_has_left_its_port_to_whoever_takes_it(bench: Bench) -> None:
    async with serving(bench) as unit:
        await bench.talk(300)
        held = Activity(identity=unit.identity, slots=tuple(await slots(bench, unit)))
        bench.crash(unit)
        assert await ours(bench) == []
        assert value(await bench.engine.health(unit)).phase == "loading"
        old = unit.model_copy(update={"uptime": 1000.0})
        assert value(await bench.engine.health(old)).phase == "unresponsive"
        await nobody_answers(bench, unit, held)
        async with bench.stranger() as pid:
            owner = value(await bench.access.port(bench.model.port)).owner
            assert (owner.pid, owner.model) == (pid, None)
            health = value(await bench.engine.health(unit))
            assert (health.phase, health.identity) == ("stranger", unit.identity)
            assert str(pid) in health.message
            await nobody_answers(bench, unit, held)


async def nobody_answers(bench: Bench, unit: Unit, held: Activity) -> None:
    assert isinstance(await bench.engine.activity(unit), Unknown)
    answer = value(await bench.engine.answer(unit))
    assert answer.identity is None
    assert answer.message
    with pytest.raises(DriverError):
        await bench.engine.save(unit, held)
    with pytest.raises(DriverError):
        await bench.engine.restore(unit, Saved())
    assert await kept(bench) == ()


async def test_an_engine_that_hangs_is_unresponsive_and_is_ended_all_the_same(bench: Bench) -> None:
    async with serving(bench) as unit:
        bench.silence(unit)
        seen: list[object] = []
        async with anyio.create_task_group() as looks:
            for look in (bench.engine.activity, bench.engine.answer):
                looks.start_soon(_into, seen, look, unit)
            health = value(await bench.engine.health(unit))
            assert (health.phase, health.identity) == ("unresponsive", unit.identity)
        assert [type(fact) for fact in seen] == [Unknown, Unknown]
        evidence = await bench.launcher.stop(unit, 0.1)
        assert (evidence["gone"], evidence["rungs"]) == (True, ["term", "term", "kill"])
        assert await ours(bench) == []


async def _into(seen: list[object], look: Any, unit: Unit) -> None:
    seen.append(await look(unit))


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
