"""An engine's own pages below /upstream/MODEL/: what is asked, what comes back, what brings in."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import httpx
import pytest

from reconciler.gateway.head import RequestHead
from reconciler.gateway.upstream import beneath_cookie, beneath_page, outward
from tests.gateway_stand import Stand, standing, until
from tests.scripted_engine import Heard, ScriptedEngine, answers, scripted, streams

ENGINE = b"127.0.0.1:8080"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi"


def head(**fields: str) -> RequestHead:
    told = {"host": "llm:8400", **fields}
    pairs = tuple((name.encode(), value.encode()) for name, value in told.items())
    return RequestHead(b"GET", b"/props", "1.1", pairs)


@pytest.mark.parametrize(
    ("referer", "meant"),
    [
        ("http://llm:8400/upstream/a/", "/upstream/a/props"),
        ("https://LLM:8400/upstream/a/chat/1?x=y", "/upstream/a/props"),
        ("http://elsewhere/upstream/a/", "/props"),
        ("http://llm:8400/upstream/a", "/props"),
        ("http://llm:8400/docs", "/props"),
        ("", "/props"),
    ],
)
def test_a_page_of_an_engine_names_paths_from_the_root(referer: str, meant: str) -> None:
    assert beneath_page(head(referer=referer), "/props") == meant


def test_what_is_named_in_full_is_what_is_meant() -> None:
    asked = head(referer="http://llm:8400/upstream/a/")
    assert beneath_page(asked, "/upstream/b/props") == "/upstream/b/props"


@pytest.mark.parametrize(
    ("cookie", "meant"),
    [
        ("reconciler-upstream=a", "/upstream/a/x"),
        ("theme=dark; reconciler-upstream=a; b=c", "/upstream/a/x"),
        ("not-reconciler-upstream=a", None),
        ("reconciler-upstream=../a", None),
        ("", None),
    ],
)
def test_the_last_page_is_remembered(cookie: str, meant: str | None) -> None:
    assert beneath_cookie(head(cookie=cookie), "/x") == meant


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("/login?to=/", "/upstream/a/login?to=/"),
        (f"http://{ENGINE.decode()}/login", "/upstream/a/login"),
        ("login", "login"),
        ("//elsewhere/login", "//elsewhere/login"),
        ("https://elsewhere/login", "https://elsewhere/login"),
    ],
)
def test_where_an_engine_sends_its_client_stands_below_its_page(given: str, told: str) -> None:
    assert [*outward([(b"Location", given.encode())], "a", ENGINE)] == [
        (b"Location", told.encode())
    ]


def test_a_cookie_is_for_the_pages_of_its_engine() -> None:
    given = [(b"Set-Cookie", b"s=1; Path=/; HttpOnly"), (b"set-cookie", b"t=2")]
    assert [*outward(given, "a", ENGINE)] == [
        (b"Set-Cookie", b"s=1; Path=/upstream/a/; HttpOnly"),
        (b"set-cookie", b"t=2"),
    ]


async def shows(heard: Heard, writer: asyncio.StreamWriter) -> None:
    if heard.head.startswith(b"GET"):
        writer.write(PAGE)
    else:
        await answers(heard, writer)


def lines(engine: ScriptedEngine) -> list[str]:
    return [heard.head.split(b"\r\n")[0].decode() for heard in engine.heard]


async def test_a_page_and_what_it_fetches_come_from_its_engine() -> None:
    async with standing() as stand, scripted(shows) as engine:
        await stand.admit(engine)
        page = await stand.client.get("/upstream/a/")
        assert page.text == "hi"
        assert page.cookies["reconciler-upstream"] == "a"
        fields = {"Referer": str(page.url)}
        await stand.client.get("/props?x=1", headers=fields)
        await stand.client.get("/assets/app.js")
        assert stand.seat.traffic.used is None, "a page is no use of the model"
        body = {"model": "b"}
        said = await stand.client.post("/v1/chat/completions", json=body, headers=fields)
        assert said.json() == body
        assert stand.seat.traffic.used is not None
        assert lines(engine) == [
            "GET / HTTP/1.1",
            "GET /props?x=1 HTTP/1.1",
            "GET /assets/app.js HTTP/1.1",
            "POST /v1/chat/completions HTTP/1.1",
        ]


async def test_the_root_of_the_pages_ends_with_a_slash() -> None:
    async with standing() as stand:
        moved = await stand.client.get("/upstream/a?b=c", follow_redirects=False)
        assert moved.status_code == HTTPStatus.TEMPORARY_REDIRECT
        assert moved.headers["location"] == "/upstream/a/?b=c"


async def _asked(stand: Stand, method: str, path: str, **more: str) -> httpx.Response:
    return await stand.client.request(method, path, content="x", headers=more)


async def test_only_what_uses_a_model_waits_for_it() -> None:
    async with standing() as stand, scripted(answers) as engine:
        look = await stand.client.get("/upstream/a/")
        assert look.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        asked = asyncio.create_task(_asked(stand, "PUT", "/upstream/a/anything"))
        await until(lambda: stand.seat.demand.waiting == 1)
        await stand.admit(engine)
        assert (await asked).text == "x"
        nowhere = await _asked(stand, "POST", "/upstream/z/anything")
        assert nowhere.status_code == HTTPStatus.NOT_FOUND


async def test_a_stream_below_a_page_speaks_the_protocol_of_its_path() -> None:
    async with standing() as stand, scripted(streams) as engine:
        await stand.admit(engine)
        body = {"stream": True}
        told = await stand.client.post("/upstream/a/v1/messages", json=body)
        assert told.text.startswith("data: 0\n\n")
        refused = await stand.client.post("/upstream/z/v1/messages", json=body)
        assert refused.json()["type"] == "error"
