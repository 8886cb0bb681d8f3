"""Keys, pages and names as clients of the gateway meet them."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from reconciler.errors import Misused, Unreachable
from reconciler.gateway import doorkeeper
from reconciler.gateway.judged import UNAUTHORIZED_SECONDS
from reconciler.gateway.keys import Requester
from reconciler.gateway.listening import Listening
from reconciler.gateway.routes import TABLE, Entrance
from reconciler.model.access_key import AccessKey, KeyRing, hashed, written
from reconciler.model.key_scope import KeyScope
from tests.gateway_stand import CHAT, ROUTES, Stand, standing, until
from tests.scripted_engine import answers, scripted
from tests.unit.test_tunnel import asking, echoes

SECRET = "s" * 43
PAGE = "https://chat.home"


def a_key(id_: str, *scopes: KeyScope, models: tuple[str, ...] = (), limit: int = 9) -> AccessKey:
    return AccessKey(
        id=id_ * 8, name=f"key-{id_}", sha256=hashed(SECRET), scopes=scopes, models=models,
        in_flight=limit, waiting=limit,
    )  # fmt: skip


RING = KeyRing(keys=(a_key("1", "infer"), a_key("2", "infer", models=("b",)), a_key("3", "read")))


def sent(id_: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {written(id_ * 8, SECRET)}"}


async def ask(stand: Stand, id_: str = "", path: str = CHAT, **fields: str) -> httpx.Response:
    headers = {**(sent(id_) if id_ else {}), **fields}
    return await stand.client.post(path, json={"model": "a"}, headers=headers)


def said(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


async def test_a_right_key_is_answered_and_stays_here() -> None:
    async with standing(rings=lambda: RING) as stand, scripted(answers) as engine:
        await stand.admit(engine)
        assert (await ask(stand, "1")).status_code == HTTPStatus.OK
        assert SECRET.encode() not in b"".join(map(repr_of, engine.heard))


def repr_of(heard: object) -> bytes:
    return repr(heard).encode()


async def test_who_has_none_is_told_so_a_little_later_and_in_their_protocol() -> None:
    loop = asyncio.get_running_loop()
    async with standing(rings=lambda: RING) as stand:
        began = loop.time()
        answer = await ask(stand, path="/v1/messages")
        assert loop.time() - began >= UNAUTHORIZED_SECONDS
        assert answer.status_code == HTTPStatus.UNAUTHORIZED
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["type"] == "error"
        assert answer.json()["error"]["type"] == "authentication_error"
        head = await stand.client.head("/v1/models")
        assert (head.status_code, head.content) == (HTTPStatus.UNAUTHORIZED, b"")


async def test_who_leaves_before_that_is_told_is_forgotten() -> None:
    async with standing(rings=lambda: RING) as stand:
        host, port = stand.address.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: stand.front.clients.count == 1)
        writer.close()
        await until(lambda: stand.front.clients.count == 0)
        assert (await stand.client.get("/v1/models")).status_code == HTTPStatus.UNAUTHORIZED


async def test_who_guesses_is_told_to_stop_and_who_knows_is_let_in() -> None:
    async with standing(rings=lambda: RING) as stand:
        answers_ = await asyncio.gather(*(ask(stand) for _ in range(21)))
        told = sorted(one.status_code for one in answers_)
        assert told == [HTTPStatus.UNAUTHORIZED] * 20 + [HTTPStatus.TOO_MANY_REQUESTS]
        listed = await stand.client.get("/v1/models", headers=sent("3"))
        assert listed.status_code == HTTPStatus.OK


async def test_a_key_is_for_its_models_alone() -> None:
    async with standing(rings=lambda: RING) as stand:
        for model in ("a", "active", ""):
            answer = await stand.client.post(CHAT, json={"model": model}, headers=sent("2"))
            assert answer.status_code == HTTPStatus.FORBIDDEN
            assert said(answer) == (
                "the key key-2 is for b, not for a; `reconciler key add NAME --scope infer --model"
                " a` makes one that is"
            )
        listed = await stand.client.get("/v1/models", headers=sent("2"))
        assert [one["id"] for one in listed.json()["data"]] == ["b"]
        assert "needs the scope infer" in said(await ask(stand, "3"))


async def test_a_key_has_its_limits() -> None:
    ring = KeyRing(keys=(a_key("1", "infer", limit=1),))
    async with standing(rings=lambda: ring) as stand, scripted(answers) as engine:
        first = asyncio.create_task(ask(stand, "1"))
        await until(lambda: stand.seat.demand.waiting == 1)
        over = await ask(stand, "1")
        assert over.status_code == HTTPStatus.TOO_MANY_REQUESTS
        assert over.headers["retry-after"]
        await stand.admit(engine)
        assert (await first).status_code == HTTPStatus.OK
        assert (await ask(stand, "1")).status_code == HTTPStatus.OK


async def test_what_is_followed_counts_as_well() -> None:
    ring = KeyRing(keys=(a_key("3", "read", limit=1),))
    async with standing(rings=lambda: ring) as stand:
        states = stand.client.stream("GET", "/models/sse", headers=sent("3"))
        async with states as first:
            assert first.status_code == HTTPStatus.OK
            over = await stand.client.get("/models/sse", headers=sent("3"))
            assert over.status_code == HTTPStatus.TOO_MANY_REQUESTS
        allowance = stand.front.doors.allowance(Requester("key-3", frozenset()))
        await until(lambda: allowance.in_flight == 0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (RING, None),
        (RING, KeyRing(keys=RING.keys[:2])),
        (RING, KeyRing(keys=(*RING.keys[:2], a_key("3", "infer")))),
        (None, RING),
    ],
    ids=["all removed", "removed", "narrowed", "the first one made"],
)
async def test_what_is_followed_ends_with_its_key(
    before: KeyRing | None, after: KeyRing | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorkeeper, "KEYS_SECONDS", 0.0)
    rings = [before]
    async with (
        standing(rings=lambda: rings[-1]) as stand,
        stand.client.stream("GET", "/models/sse", headers=sent("3")) as states,
    ):
        stand.front.clients.sweep()
        assert stand.front.clients.count == 1
        told = asyncio.create_task(states.aread())
        rings.append(KeyRing(keys=(*before.keys, a_key("4", "read"))) if before else None)
        stand.front.clients.sweep()
        await asyncio.sleep(0)
        assert not told.done()
        rings.append(after)
        stand.front.clients.sweep()
        await told


async def test_who_waits_is_told_when_the_key_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "KEYS_SECONDS", 0.0)
    rings = [RING]
    async with standing(rings=lambda: rings[-1]) as stand:
        waits = asyncio.create_task(ask(stand, "1"))
        await until(lambda: stand.seat.waiting)
        stand.front.clients.sweep()
        assert stand.seat.waiting
        rings.append(KeyRing(keys=RING.keys[1:]))
        stand.front.clients.sweep()
        answer = await waits
        assert (answer.status_code, bool(stand.seat.waiting)) == (HTTPStatus.UNAUTHORIZED, False)
        assert "removed" in said(answer)


async def test_another_protocol_ends_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "KEYS_SECONDS", 0.0)
    rings = [RING]
    bearer = f"Authorization: {sent('1')['Authorization']}\r\n"
    async with standing(rings=lambda: rings[-1]) as stand, scripted(echoes) as engine:
        await stand.admit(engine)
        async with asking(stand, "/upstream/a/v1/realtime", fields=bearer) as talk:
            assert (await talk.head()).startswith(b"HTTP/1.1 101 ")
            stand.front.clients.sweep()
            talk.writer.write(b"again")
            assert await talk.said(10) == b"helloagain"
            rings.append(KeyRing(keys=RING.keys[1:]))
            stand.front.clients.sweep()
            with suppress(ConnectionError):
                assert await asyncio.wait_for(talk.reader.read(), 10) == b""


async def test_nobody_is_let_in_while_the_keys_cannot_be_read() -> None:
    def broken() -> KeyRing | None:
        raise Unreachable("keys.json cannot be read")

    async with standing(rings=broken) as stand:
        answer = await ask(stand, "1")
        assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert said(answer) == "keys.json cannot be read"


async def test_a_page_that_the_file_lets_in_may_ask_and_read() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        refused = await ask(stand, Origin=PAGE)
        assert refused.status_code == HTTPStatus.FORBIDDEN
        assert "`origins` under `gateway` of inventory.yaml: https://chat.home" in said(refused)
        stand.front.doors.route(ROUTES.model_copy(update={"origins": (PAGE,)}))
        asks = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
        may = await stand.client.options(CHAT, headers=asks)
        assert may.status_code == HTTPStatus.NO_CONTENT
        assert may.headers["access-control-allow-origin"] == PAGE
        answer = await ask(stand, Origin=PAGE)
        assert answer.status_code == HTTPStatus.OK
        assert answer.headers["access-control-allow-origin"] == PAGE


async def test_it_answers_to_the_names_that_the_file_gives() -> None:
    async with standing() as stand:
        wrong = await stand.client.get("/v1/models", headers={"Host": "llm.home"})
        assert wrong.status_code == HTTPStatus.MISDIRECTED_REQUEST
        assert "`names: [llm.home]` under `gateway:` in inventory.yaml" in said(wrong)
        stand.front.doors.route(ROUTES.model_copy(update={"names": ("llm.home",)}))
        unkeyed = await stand.client.get("/v1/models", headers={"Host": "llm.home"})
        assert unkeyed.status_code == HTTPStatus.UNAUTHORIZED, "elsewhere nobody comes without one"


def test_without_keys_only_this_machine_may_reach_it() -> None:
    with pytest.raises(Misused, match="`reconciler key add NAME` makes one"):
        Listening("0.0.0.0:8400", {})
    Listening("0.0.0.0:8400", {}, has_keys=True)


async def test_an_address_that_the_file_changes_counts_from_the_next_start() -> None:
    async with standing() as stand:
        moved = ROUTES.model_copy(update={"listen": "0.0.0.0:80"})
        assert stand.front.doors.route(moved) == "", "it was not the file that said where"
        stand.front.doors.listens = "127.0.0.1:8400"
        assert "until `serve` is restarted" in stand.front.doors.route(moved)
        same = ROUTES.model_copy(update={"listen": "127.0.0.1:8400"})
        assert stand.front.doors.route(same) == ""


ASKS_A_MODEL = [one for one in TABLE if one.scope == "infer" and one.answer != "moved"]


async def test_on_no_route_does_a_key_reach_a_model_that_it_is_not_for() -> None:
    async with standing(rings=lambda: RING) as stand, scripted(answers) as engine:
        await stand.admit(engine)
        told = [await of_a(stand, entrance) for entrance in ASKS_A_MODEL]
        wrong = [
            f"{entrance.shape}: {answer.status_code} {answer.text}"
            for entrance, answer in zip(ASKS_A_MODEL, told, strict=True)
            if answer.status_code not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
        ]
        assert wrong == []
        assert engine.heard == []


async def of_a(stand: Stand, entrance: Entrance) -> httpx.Response:
    """Ask for the model a, with a key for b alone, in each way that a route knows."""
    path = re.sub(r"\{\w+(\.\.\.)?\}", "a", entrance.shape)
    if entrance.method == "GET":
        return await stand.client.get(path, params={"model": "a"}, headers=sent("2"))
    if entrance.body == "form":
        form: dict[str, Any] = {"model": (None, "a"), "file": ("a.wav", b"")}
        return await stand.client.post(path, files=form, headers=sent("2"))
    return await stand.client.post(path, json={"model": "a"}, headers=sent("2"))
