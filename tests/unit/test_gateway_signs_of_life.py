"""A client that streams hears something every few seconds, whoever it waits for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx
import pytest

from reconciler.gateway import signs_of_life
from tests.gateway_stand import CHAT, standing, until
from tests.scripted_engine import Heard, Script, scripted, streams

SIGN = ": keepalive\n"
SEVERAL = 3 * SIGN
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CLOSING = STREAM + b"Connection: close\r\n\r\n"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs_of_life, "HEAD_SECONDS", 0.01)
    monkeypatch.setattr(signs_of_life, "BEAT_SECONDS", 0.01)


class Slow:
    """An engine that says a piece whenever it is told to go on, and ends with the last."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces, self._turns = pieces, asyncio.Queue[None]()

    async def __call__(self, _: Heard, writer: asyncio.StreamWriter) -> None:
        for piece in self._pieces:
            await self._turns.get()
            writer.write(piece)
            await writer.drain()
        writer.close()

    def go_on(self) -> None:
        self._turns.put_nowait(None)


class Stream:
    """What a client has read of its answer."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status, self.text, self._pieces = answer.status_code, "", answer.aiter_text()

    async def until(self, sought: str) -> None:
        """Read until this stands at the end of what was read since the last time."""
        self.text = ""
        while not self.text.endswith(sought):
            self.text += await anext(self._pieces)

    async def rest(self) -> str:
        return "".join([piece async for piece in self._pieces])


@asynccontextmanager
async def asked(script: Script, path: str = CHAT) -> AsyncIterator[Stream]:
    async with standing() as stand, scripted(script) as engine:
        await stand.admit(engine)
        body = {"model": "a", "stream": True}
        async with stand.client.stream("POST", path, json=body) as answer:
            yield Stream(answer)


async def test_while_its_model_is_not_there_yet() -> None:
    async with standing() as stand, scripted(streams) as engine:
        async with stand.client.stream("POST", CHAT, json={"model": "a", "stream": True}) as answer:
            heard = Stream(answer)
            await heard.until(SEVERAL)
            await stand.admit(engine)
            rest = await heard.rest()
        assert heard.status == HTTPStatus.OK
        assert rest.replace(SIGN, "") == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


async def test_while_the_engine_reads_a_prompt() -> None:
    slow = Slow(CLOSING + b"data: 0\n\n")
    async with asked(slow) as heard:
        await heard.until(SEVERAL)
        slow.go_on()
        assert (await heard.rest()).replace(SIGN, "") == "data: 0\n\n"


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
async def test_between_two_events_and_never_inside_one(end: str) -> None:
    event = f"data: 0{end}"
    pieces = (event[:-1].encode(), event[-1:].encode())
    slow = Slow(CLOSING, *pieces, *pieces)
    async with asked(slow) as heard:
        slow.go_on()
        for _ in range(2):
            await heard.until(SEVERAL)
            slow.go_on()
            await heard.until(event[:-1])
            slow.go_on()
            await heard.until(event[-1])
        assert await heard.rest() == ""


async def test_in_the_form_that_anthropics_clients_take() -> None:
    async with asked(Slow(CLOSING), "/v1/messages") as heard:
        await heard.until('event: ping\ndata: {"type": "ping"}\n\n')


@pytest.mark.parametrize("field", [b"Content-Encoding: gzip", b"Content-Length: 3"])
async def test_not_where_they_would_change_the_body(field: bytes) -> None:
    slow = Slow(STREAM + field + b"\r\n\r\n", b"abc")
    async with standing() as stand, scripted(slow) as engine:
        slow.go_on()
        await stand.admit(engine)
        body = json.dumps({"model": "a", "stream": True}).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        reader, writer = await asyncio.open_connection(*stand.address.split(":"))
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await reader.readuntil(b"\r\n\r\n")
        async with asked(Slow(CLOSING)) as other:
            await other.until(SEVERAL)
        slow.go_on()
        assert b"keepalive" not in await reader.read()
        writer.close()


async def test_not_where_nothing_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for a busy machine to pass the head on.
    monkeypatch.setattr(signs_of_life, "HEAD_SECONDS", 0.5)
    slow = Slow(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha", b"lf")
    began = asyncio.get_running_loop().time()
    slow.go_on()
    async with asked(slow) as heard:
        await heard.until("ha")
        await until(lambda: asyncio.get_running_loop().time() > began + 0.6)
        slow.go_on()
        assert await heard.rest() == "lf"


@pytest.mark.parametrize(
    ("said", "code"),
    [(b"HTTP/1.1 400 Bad", 400), (b"HTTP/1.1 200 OK", 502), (b"HTTP/1.1 529 Full", 529)],
)
async def test_what_an_engine_says_instead_of_events_becomes_one(said: bytes, code: int) -> None:
    slow = Slow(said + b"\r\nContent-Length: 8\r\n\r\nno room!")
    async with asked(slow) as heard:
        await heard.until(SIGN)
        slow.go_on()
        error = json.loads((await heard.rest()).rpartition("data: ")[2])["error"]
        assert (error["code"], error["message"]) == (code, "the engine answered: no room!")
