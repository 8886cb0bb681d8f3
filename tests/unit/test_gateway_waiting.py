"""A request waits for its model: with signs of life, for so long, and it is told why in vain."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

import httpx
import pytest

from reconciler.gateway import seats
from reconciler.gateway.seat import MOST_WAITING
from reconciler.model.traffic import Routes
from reconciler.ports import EngineWay
from tests.gateway_stand import CHAT, ROUTES, Stand, a_front, standing, until
from tests.sample_worlds import HOST, identity
from tests.scripted_engine import answers, scripted

NAMES = ("a", "active", "")
"""What a request may call the model that is active."""

TURNED = Routes(
    models=tuple(route.model_copy(update={"active": not route.active}) for route in ROUTES.models),
    main="b",
)


async def test_files_that_are_not_read_soon_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "READING_SECONDS", 0.01)
    front = a_front()
    async with front.opened() as (address,), httpx.AsyncClient() as client:
        answer = await client.post(f"http://{address}{CHAT}", json={"model": "a"})
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "have not been read yet" in answer.json()["error"]["message"]


async def test_what_comes_before_the_files_are_read_waits_for_them() -> None:
    front = a_front()
    async with (
        front.opened() as (address,),
        httpx.AsyncClient(base_url=f"http://{address}") as client,
        scripted(answers) as engine,
    ):
        stand = Stand(front, address, client)
        asked = [asyncio.create_task(stand.ask(model=name)) for name in ("a", "active", "z")]
        await until(lambda: front.doors.unread.demand.waiting == 3)
        front.doors.route(ROUTES)
        await stand.admit(engine)
        told = [(await one).status_code for one in asked]
    assert told == [HTTPStatus.OK, HTTPStatus.OK, HTTPStatus.NOT_FOUND]


async def test_a_request_waits_until_its_model_is_admitted() -> None:
    async with standing() as stand, scripted(answers) as engine:
        asked = asyncio.create_task(stand.ask(n=1))
        await until(lambda: stand.seat.demand.waiting == 1)
        await stand.admit(engine)
        answer = await asked
        assert answer.json() == {"model": "a", "n": 1}
        assert int(answer.headers["x-reconciler-queue-ms"]) >= 0
        assert stand.seat.demand.waiting == 0


@pytest.mark.parametrize("name", NAMES)
async def test_a_wait_ends_with_its_reason(name: str) -> None:
    async with standing() as stand:
        brief = ROUTES.models[0].model_copy(update={"max_wait": 0.01})
        stand.front.doors.route(ROUTES.model_copy(update={"models": (brief,)}))
        answer = await stand.ask(model=name)
        assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert answer.headers["retry-after"] == "1"
        assert "it has not been seen to work yet" in answer.json()["error"]["message"]


async def test_a_wait_in_vain_ends_with_what_stood_in_the_way() -> None:
    async with standing() as stand, scripted(answers) as engine:
        brief = ROUTES.models[0].model_copy(update={"max_wait": 0.01})
        stand.front.doors.route(ROUTES.model_copy(update={"models": (brief,)}))
        stand.front.doors.lobby(HOST).explain({"a": "no room", "z": "nothing"})
        assert "no room" in (await stand.ask()).json()["error"]["message"]
        await stand.admit(engine)
        stand.front.doors.lobby(HOST).explain({"a": "it is there"})
        assert "it is there" not in stand.seat.because


@pytest.mark.parametrize("name", NAMES)
async def test_only_so_many_may_wait(name: str) -> None:
    class Nobody:
        by = request = ""

        def admitted(self) -> None: ...
        def turned_away(self, _: object) -> None: ...

    async with standing() as stand:
        for _ in range(MOST_WAITING):
            assert stand.seat.wait(Nobody(), None) is not None
        asked = await stand.ask(model=name)
        assert asked.status_code == HTTPStatus.TOO_MANY_REQUESTS


async def test_who_waits_is_told_when_the_file_says_otherwise() -> None:
    async with standing() as stand:
        asked = asyncio.create_task(stand.ask())
        await until(lambda: stand.seat.demand.waiting == 1)
        other = Routes(models=(ROUTES.models[0].model_copy(update={"active": False}),))
        stand.front.doors.route(other)
        assert "`reconciler use a` switches" in (await asked).json()["error"]["message"]


@pytest.mark.parametrize("name", NAMES)
async def test_who_waits_is_told_when_the_gateway_ends(name: str) -> None:
    async with standing() as stand:
        asked = asyncio.create_task(stand.ask(model=name))
        await until(lambda: stand.seat.demand.waiting == 1)
        stand.front.doors.leave()
        assert "is being restarted" in (await asked).json()["error"]["message"]


@pytest.mark.parametrize("is_open", [True, False])
async def test_who_asks_once_the_gateway_ends_does_not_hold_it_up(is_open: bool) -> None:
    async with standing() as stand, scripted(answers) as engine:
        if is_open:
            await stand.admit(engine)
        stand.front.doors.leave()
        answer = await stand.ask()
        assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert answer.headers["retry-after"] == "1"
        assert "is being restarted" in answer.json()["error"]["message"]
        assert not engine.heard


async def test_those_who_go_to_another_seat_keep_their_order() -> None:
    async with standing() as stand, scripted(answers) as engine:
        asked = []
        for number in range(3):
            asked.append(asyncio.create_task(stand.ask(model="active", n=number)))
            await until(lambda: stand.seat.demand.waiting == len(asked))
        stand.front.doors.route(TURNED)
        await stand.front.doors.gate(HOST).admit("b", identity(1), EngineWay(engine.url, 1))
        for one in asked:
            await one
    assert [json.loads(heard.body)["n"] for heard in engine.heard] == [0, 1, 2]


async def test_who_waits_for_whatever_is_active_goes_to_what_becomes_active() -> None:
    async with standing() as stand, scripted(answers) as engine:
        named = asyncio.create_task(stand.ask())
        word = asyncio.create_task(stand.ask(model="active"))
        await until(lambda: stand.seat.demand.waiting == 2)
        stand.front.doors.route(TURNED)
        assert (await named).status_code == HTTPStatus.SERVICE_UNAVAILABLE
        await stand.front.doors.gate(HOST).admit("b", identity(1), EngineWay(engine.url, 4))
        assert (await word).json() == {"model": "active"}
