"""Models that share an alias are a pool: the one that answers soonest takes the request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import pytest

from reconciler.gateway.candidates import best
from reconciler.gateway.lobby import SeatsLobby
from reconciler.gateway.seat import Seat
from reconciler.model.traffic import Route, Routes
from reconciler.ports import EngineWay
from tests.gateway_stand import Stand, standing, until
from tests.sample_worlds import identity
from tests.scripted_engine import ScriptedEngine, answers, scripted

OTHER = "box2"
POOL = Routes(
    models=(
        Route(model="a", host="box", active=True, aliases=("qwen", "gpt-4o"), max_wait=0.2),
        Route(model="b", host=OTHER, active=True, aliases=("qwen",), max_wait=0.2),
    )
)


def seat(name: str, **changed: object) -> Seat:
    route = Route(model=name, host="box", active=False, lent=True).model_copy(update=changed)
    return Seat(route, lambda: 0.0, SeatsLobby())


def opened(one: Seat, at_once: int = 1) -> Seat:
    one.admit(identity(7), EngineWay("http://127.0.0.1:1", at_once))
    return one


def busy(one: Seat, requests: int = 1) -> Seat:
    for _ in range(requests):
        one.begin()
    return one


def refused(one: Seat) -> Seat:
    one.refuse("no room")
    return one


def resting(one: Seat, seconds: float = 90.0) -> Seat:
    one.rests, one.arrives_in = True, seconds
    return one


def away(one: Seat, seconds: float) -> Seat:
    one.arrives_in = seconds
    return one


BEST_FIRST: tuple[Callable[[], Seat], ...] = (
    lambda: opened(seat("z"), 4),
    lambda: busy(opened(seat("y"), 4), 2),
    lambda: busy(opened(seat("x"))),
    lambda: seat("w", active=True),
    lambda: resting(seat("v1"), seconds=30.0),
    lambda: away(seat("v"), 40.0),
    lambda: resting(seat("u", active=True)),
    lambda: resting(seat("t")),
    lambda: refused(seat("s", active=True)),
    lambda: seat("r", lent=False),
)


@pytest.mark.parametrize("number", range(len(BEST_FIRST) - 1))
def test_the_one_that_answers_soonest_is_the_best(number: int) -> None:
    one, other = BEST_FIRST[number](), BEST_FIRST[number + 1]()
    assert best([other, one]) is best([one, other]) is one
    assert best([]) is None


async def admit(stand: Stand, model: str, host: str, engine: ScriptedEngine) -> None:
    way = EngineWay(engine.url, 4)
    await stand.front.doors.gate(host).admit(model, identity(7), way)


async def test_a_pool_is_listed_and_the_warm_one_takes_the_request() -> None:
    async with standing() as stand, scripted(answers) as engine:
        stand.front.doors.route(POOL)
        await admit(stand, "b", OTHER, engine)
        assert (await stand.ask(model="qwen")).headers["x-reconciler-model"] == "b"
        listed = (await stand.client.get("/v1/models")).json()["data"]
        assert [one["aliases"] for one in listed] == [["qwen", "gpt-4o"], ["qwen"]]
        named = (await stand.client.get("/v1/models/gpt-4o")).json()
        assert named["id"] == "a"
        unknown = (await stand.ask(model="gpt-5")).json()["error"]["message"]
        assert "expected one of: a, b, gpt-4o, qwen" in unknown


async def test_what_one_cannot_take_goes_to_the_next() -> None:
    async with standing() as stand, scripted(answers) as one, scripted(answers) as other:
        stand.front.doors.route(POOL)
        await admit(stand, "a", "box", ScriptedEngine(answers, port=9))
        await admit(stand, "b", OTHER, other)
        a = stand.front.doors.of_model("a")
        assert a is not None
        # Nothing listens there any more, which the first request finds out.
        assert (await stand.ask(model="qwen")).headers["x-reconciler-model"] == "b"
        assert a.identity is None
        await admit(stand, "a", "box", one)
        stand.front.doors.lobby("box").refuse({"a": "held"})
        assert (await stand.ask(model="qwen")).headers["x-reconciler-model"] == "a"


async def test_each_is_waited_for_once() -> None:
    async with standing() as stand:
        stand.front.doors.route(POOL)
        late = await stand.ask(model="qwen")
        assert late.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert "is not ready after 0.2 s" in late.json()["error"]["message"]


async def test_who_waits_for_one_that_is_refused_goes_on_to_the_next() -> None:
    async with standing() as stand, scripted(answers) as engine:
        models = tuple(one.model_copy(update={"max_wait": 60.0}) for one in POOL.models)
        stand.front.doors.route(Routes(models=models))
        asked = asyncio.create_task(stand.ask(model="qwen"))
        a = stand.front.doors.of_model("a")
        assert a is not None
        await until(lambda: a.waiting == 1)
        await admit(stand, "b", OTHER, engine)
        a.refuse("its host is held")
        assert (await asked).headers["x-reconciler-model"] == "b"
