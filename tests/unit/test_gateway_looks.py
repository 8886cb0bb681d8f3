"""Requests that only look at what an engine says: they bring nothing in, and are no use of it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import pytest

from reconciler.model.traffic import Routes
from tests.gateway_stand import ROUTES, standing, until
from tests.scripted_engine import Heard, answers, scripted

LOOKS = ("/props?model=a", "/slots?model=a", "/slots")
LENT = Routes(models=tuple(one.model_copy(update={"lent": True}) for one in ROUTES.models))


@pytest.mark.parametrize("path", LOOKS)
async def test_a_look_goes_to_the_engine_and_is_no_use_of_it(path: str) -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        assert (await stand.client.get(path)).status_code == HTTPStatus.OK
        assert engine.heard[0].head.startswith(f"GET {path} HTTP/1.1\r\n".encode())
        assert (stand.seat.traffic.in_flight, stand.seat.traffic.used) == (0, None)
        await stand.ask()
        assert stand.seat.traffic.used is not None


@pytest.mark.parametrize("looks_first", [False, True])
async def test_a_look_is_counted_while_it_is_under_way_and_takes_no_slot(
    looks_first: bool,
) -> None:
    both = asyncio.Event()

    async def slow(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await both.wait()
        await answers(heard, writer)

    async with standing() as stand, scripted(slow) as engine:
        await stand.admit(engine, at_once=1)
        requests = [stand.ask(), stand.client.get("/slots")]
        async with asyncio.TaskGroup() as group:
            sent = []
            for one in reversed(requests) if looks_first else requests:
                sent.append(group.create_task(one))
                await until(lambda: stand.seat.in_flight == len(sent))
            both.set()
        assert {one.result().status_code for one in sent} == {HTTPStatus.OK}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/slots?model=a", "a does not serve now, and a request that only looks brings no model"),
        ("/props?model=b", "b does not serve now, and requests may not bring it in"),
    ],
)
async def test_a_look_at_what_does_not_serve_is_refused_at_once(path: str, said: str) -> None:
    async with standing() as stand:
        answer = await stand.client.get(path)
        assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert said in answer.json()["error"]["message"]
        assert stand.seat.demand.waiting == 0


async def test_an_engine_that_is_gone_is_not_waited_for() -> None:
    async with standing() as stand:
        async with scripted(answers) as engine:
            await stand.admit(engine)
        assert (await stand.client.get("/slots")).status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert not stand.seat.is_open


@pytest.mark.parametrize(("routes", "brings_in"), [(ROUTES, False), (LENT, True)])
async def test_of_all_models_it_is_said_whether_requests_bring_them_in(
    routes: Routes, brings_in: bool
) -> None:
    async with standing() as stand:
        stand.front.doors.route(routes)
        told = (await stand.client.get("/props")).json()
        assert told["models_autoload"] is brings_in
        assert told["role"] == "router"
