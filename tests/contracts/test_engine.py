"""What every engine that keeps conversations promises, over each access to a host."""

from __future__ import annotations

import stat
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from reconciler.drivers.engines.llama.save import SPARE_BYTES
from reconciler.errors import DriverError
from reconciler.model.facts import TRIVIAL_TOKENS, Saved, Unknown
from reconciler.model.onhost.slots import NoteAttempt
from reconciler.steps.save_slots import file_bytes
from tests import running
from tests.contracts.hosts import WAYS, reached
from tests.engine import EMBEDDED, SERVERS, weights_in
from tests.rig import rig, value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from reconciler.model.spec import Task
    from tests.rig import Define, Rig


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


OVER = (*((way, EMBEDDED) for way in WAYS), *(("thread", server) for server in SERVERS[1:]))
"""Each access with one server, and each server over one access: neither knows of the other."""


@pytest.fixture(params=OVER, ids=lambda over: f"{over[1]}-{over[0]}")
async def define(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Define]:
    """Give what defines a model on this machine."""
    way, server = request.param
    async with reached(way, tmp_path) as access:
        yield partial(rig, tmp_path, access, server=server)


@pytest.fixture
def model(define: Define) -> Rig:
    return define()


async def outcomes(model: Rig) -> list[tuple[str, str]]:
    """Read what the sidecars say came of restores."""
    saved: Saved = value(await model.engine.saved())
    return [(tried.outcome, tried.reason) for slot in saved.slots for tried in slot.attempts]


async def test_a_conversation_survives_a_restart(model: Rig) -> None:
    async with model.running() as unit:
        said = await model.converse()
        held = await model.slot(unit)
        evidence = await model.save(unit)
        assert evidence["failed"] == []
        assert evidence["slots"][0]["tokens"] in {held.tokens, (held.tokens or 0) - 1}
    async with model.running() as unit:
        assert (await model.answer(unit)).identity == unit.identity
        saved: Saved = value(await model.engine.saved())
        evidence = await model.restore(unit)
        assert [slot["outcome"] for slot in evidence["slots"]] == ["proven"]
        assert (await model.slot(unit)).tokens == saved.slots[0].tokens
        again = await model.converse()
        assert again["content"] == said["content"]
        assert again["timings"]["prompt_n"] == 1
    assert await outcomes(model) == [("proven", "")]


async def test_a_saved_slot_says_where_it_came_from(model: Rig) -> None:
    async with model.running() as unit:
        await model.converse()
        held = await model.slot(unit)
        await model.save(unit)
        (one,) = value(await model.engine.saved()).slots
        assert (one.identity, one.slot, one.task, one.slot_tokens) == (
            unit.identity,
            0,
            held.task,
            held.tokens,
        )
        assert one.fingerprint == value(await model.engine.fingerprint()).digest
        modes = {stat.S_IMODE(path.stat().st_mode) for path in model.slots.iterdir()}
        assert modes == {0o600}


async def test_the_length_of_a_slot_file_is_known_before_it_is_written(
    define: Define, tmp_path: Path
) -> None:
    model = define(weights=str(weights_in(tmp_path)))
    async with model.running() as unit:
        await model.converse()
        await model.save(unit)
        (one,) = value(await model.engine.saved()).slots
        least = file_bytes(one.tokens, value(await model.engine.weights()).kv_bytes_per_token)
        assert least <= one.bytes <= least + SPARE_BYTES // 16
        model.engine.setup = replace(model.engine.setup, budget=one.bytes)
        assert (await model.save(unit))["failed"] == [], "what just fits is tried"
        assert [slot.bytes for slot in value(await model.engine.saved()).slots] == [one.bytes]


async def test_a_later_save_replaces_the_earlier_one(model: Rig) -> None:
    async with model.running() as unit:
        await model.converse(tokens=4)
        await model.save(unit)
        await model.save(unit)
        (first,) = value(await model.engine.saved()).slots
        await model.converse(words=320)
        await model.save(unit)
        (second,) = value(await model.engine.saved()).slots
        assert second.tokens > first.tokens
        assert {path.name for path in model.slots.iterdir()} == {
            second.file,
            f"{second.file}.slot.json",
        }


async def test_an_engine_is_loading_until_it_is_ready(model: Rig) -> None:
    unit = await model.start()
    # A quick one may be ready before it is looked at for the first time.
    assert value(await model.engine.health(unit)).phase in {"loading", "ready"}
    assert (await model.ready(unit)).identity == unit.identity


async def test_a_young_unit_that_does_not_listen_yet_is_loading(model: Rig) -> None:
    unit = await model.start()
    await model.stop(unit)
    young = unit.model_copy(update={"uptime": 1.0})
    assert value(await model.engine.health(young)).phase == "loading"


async def test_a_unit_that_never_listens_is_unresponsive(model: Rig) -> None:
    unit = await model.start()
    await model.stop(unit)
    old = unit.model_copy(update={"uptime": 1000.0})
    health = value(await model.engine.health(old))
    assert health.phase == "unresponsive"
    assert str(model.model.port) in health.message
    assert isinstance(await model.engine.activity(unit), Unknown)


async def test_an_answer_leaves_no_conversation_behind(model: Rig) -> None:
    async with model.running() as unit:
        assert (await model.slot(unit)).tokens is None
        assert (await model.answer(unit)).identity == unit.identity
        assert 0 < ((await model.slot(unit)).tokens or 0) <= TRIVIAL_TOKENS


async def test_an_answer_never_touches_a_conversation(define: Define) -> None:
    model = define(parallel=2)
    async with model.running() as unit:
        await model.converse(slot=0)
        before = await model.slot(unit, 0)
        assert (await model.answer(unit)).identity == unit.identity
        assert await model.slot(unit, 0) == before
        await model.converse(slot=1)
        slots = value(await model.engine.activity(unit)).slots
        assert (await model.answer(unit)).identity == unit.identity
        assert value(await model.engine.activity(unit)).slots == slots


async def test_every_slot_comes_back_in_its_place(define: Define) -> None:
    model = define(parallel=2)
    async with model.running() as unit:
        await model.converse(words=200, slot=0)
        await model.converse(words=300, slot=1)
        assert len((await model.save(unit))["slots"]) == 2
    async with model.running() as unit:
        evidence = await model.restore(unit)
        assert [(slot["slot"], slot["outcome"]) for slot in evidence["slots"]] == [
            (0, "proven"),
            (1, "proven"),
        ]
        assert (await model.converse(words=300, slot=1))["timings"]["prompt_n"] == 1


async def test_a_busy_slot_is_not_saved(model: Rig) -> None:
    async with model.running() as unit:
        await model.converse()
        held = value(await model.engine.activity(unit))
        async with anyio.create_task_group() as clients:
            clients.start_soon(model.converse, 300, 3000)
            while not (await model.slot(unit)).busy:
                await anyio.lowlevel.checkpoint()
            evidence: Any = await model.engine.save(unit, held)
            clients.cancel_scope.cancel()
        assert evidence["slots"] == []
        assert "generating" in str(evidence["failed"])
        assert value(await model.engine.saved()).slots == ()


async def test_nothing_is_put_over_what_clients_said(model: Rig) -> None:
    async with model.running() as unit:
        await model.converse()
        await model.save(unit)
    async with model.running() as unit:
        await model.converse(words=50)
        held = await model.slot(unit)
        evidence = await model.restore(unit)
        assert evidence["slots"][0]["outcome"] == "cold"
        assert await model.slot(unit) == held


async def test_a_restore_that_was_cut_short_after_the_engine_took_it_is_proven(model: Rig) -> None:
    async with model.running() as unit:
        await model.converse()
        await model.save(unit)
    async with model.running() as unit:
        (one,) = value(await model.engine.saved()).slots
        await model.access.act(
            NoteAttempt(
                directory=f"{model.model.directory}/slots",
                file=one.file,
                identity=unit.identity,
                outcome="open",
            )
        )
        assert (await model.answer(unit)).identity is None, (
            "the only slot may hold more than it says"
        )
        url = f"http://127.0.0.1:{model.model.port}/slots/0?action=restore"
        await model.post(url, {"filename": one.file})
        evidence = await model.restore(unit)
        assert evidence["slots"][0]["reason"] == "it had been put in before"
    assert [outcome for outcome, _ in await outcomes(model)] == ["proven"]


async def test_a_restore_that_was_cut_short_before_the_engine_took_it_is_done(model: Rig) -> None:
    async with model.running() as unit:
        await model.converse()
        await model.save(unit)
    async with model.running() as unit:
        (one,) = value(await model.engine.saved()).slots
        await model.access.act(
            NoteAttempt(
                directory=f"{model.model.directory}/slots",
                file=one.file,
                identity=unit.identity,
                outcome="open",
            )
        )
        await model.restore(unit)
        assert (await model.converse())["timings"]["prompt_n"] == 1
    assert [outcome for outcome, _ in await outcomes(model)] == ["proven"]


async def test_a_conversation_that_no_longer_fits_stays_where_it_is(
    define: Define, tmp_path: Path
) -> None:
    weights = str(weights_in(tmp_path))
    roomy, tight = define(weights=weights), define(weights=weights, context=256)
    async with roomy.running() as unit:
        await roomy.converse()
        await roomy.save(unit)
    async with tight.running() as unit:
        evidence = await tight.restore(unit)
        assert evidence["slots"][0]["outcome"] == "cold"
        assert "256 fit" in evidence["slots"][0]["reason"]
    async with roomy.running() as unit:
        assert (await roomy.restore(unit))["slots"][0]["outcome"] == "proven"


@pytest.mark.parametrize(
    ("architecture", "args", "outcome", "remedy"),
    [
        ("gemma3", ("--ctx-checkpoints", "0"), "cold", 'add "--swa-full" to args'),
        ("gemma3", ("--swa-full",), "proven", ""),
        ("lfm2", ("--ctx-checkpoints", "0"), "cold", ""),
    ],
)
async def test_what_cannot_come_back_is_said_before_and_seen_after(
    define: Define,
    tmp_path: Path,
    architecture: str,
    args: tuple[str, ...],
    outcome: str,
    remedy: str,
) -> None:
    model = define(weights=str(weights_in(tmp_path, architecture)), args=args)
    weights = value(await model.engine.weights())
    assert (weights.keepable, weights.remedy) == (outcome == "proven", remedy)
    async with model.running() as unit:
        await model.converse(words=1500)
        await model.save(unit)
    async with model.running() as unit:
        evidence = await model.restore(unit)
        assert evidence["slots"][0]["outcome"] == outcome, evidence
        assert "restart" not in evidence


@pytest.mark.parametrize(
    ("task", "flag"), [("embedding", "--embedding"), ("rerank", "--reranking")]
)
async def test_an_engine_answers_the_task_it_is_for(define: Define, task: Task, flag: str) -> None:
    able = define(task=task, args=(flag,))
    async with able.running() as unit:
        assert (await able.answer(unit)).identity == unit.identity
    unable = define(task=task)
    async with unable.running() as unit:
        answer = await unable.answer(unit)
        assert answer.identity is None
        assert f'add "{flag}" to args' in answer.message


async def test_a_sleeping_engine_is_seen_asleep_and_not_saved(define: Define) -> None:
    model = define(args=("--sleep-idle-seconds", "1"))
    async with model.running() as unit:
        await model.converse()
        held = value(await model.engine.activity(unit))
        with anyio.fail_after(20):
            while value(await model.engine.health(unit)).phase != "sleeping":  # noqa: ASYNC110
                await anyio.sleep(0.05)
        with pytest.raises(DriverError, match="sleeps"):
            await model.engine.save(unit, held)
        assert value(await model.engine.health(unit)).phase == "sleeping"
        assert not any(model.slots.iterdir())


async def test_weights_that_are_not_there_are_a_problem_unless_they_are_written_on_start(
    define: Define,
) -> None:
    missing = value(await define(weights="none.gguf").engine.weights())
    assert not missing.exists
    assert "none.gguf" in missing.problem
    # One server makes weights where it is told to.
    here = value(await define().engine.weights())
    assert (here.problem, here.exists) == ("", not here.written_on_start)
