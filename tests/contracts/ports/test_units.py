"""What the ports of a host and its units promise: the fakes keep it as a real host does."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from reconciler.errors import DriverError
from reconciler.model.facts import (
    Activity,
    Claim,
    Known,
    Mark,
    Saved,
    Unit,
    Unknown,
)
from reconciler.model.gpu import Gpu
from reconciler.model.onhost.host import AskContact, AskGpus, WriteClaim
from reconciler.model.onhost.slots import CheckSlot
from reconciler.model.port import PortState
from tests.contracts.benches import Bench, contains
from tests.contracts.ports.units import (
    CONTROLLER,
    READY_WITHIN,
    kept,
    ours,
    serving,
    slots,
    started,
    until_ready,
)
from tests.rig import value
from tests.sample_worlds import marked

CLAIM = Claim(controller="c1", name="attic", directory="/var/lib/reconciler", at=1.0)


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


async def test_a_stop_of_what_is_gone_is_done_already_and_touches_nothing(bench: Bench) -> None:
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


async def test_an_engine_that_died_has_left_its_port_to_the_next(bench: Bench) -> None:
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
