"""Engines that do not keep to HTTP: their clients are told, each in its protocol, and others not
harmed.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway_stand import standing
from tests.scripted_engine import Heard, answers, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/completion")
OK = b"HTTP/1.1 200 OK\r\n"
EVENTS = OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST = b"9\r\ndata: 1\n\n\r\n"

BEFORE_ITS_HEAD = {
    "nothing": (b"", "it closed the connection"),
    "half a head": (OK + b"Content-Le", "it closed the connection"),
    "garbage": (b"\x16\x03\x01\x02", "its answer is not HTTP"),
    "a length and chunks": (
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "its answer is not HTTP",
    ),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "is not HTTP"),
    "another coding": (
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "transfer coding",
    ),
    "a head without end": (OK + b"X: " + b"a" * 300_000, "larger than 65536 bytes"),
    "another protocol": (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "changed the protocol",
    ),
    "control characters": (
        b"HTTP/1.1 200 O\x0bK\r\nContent-Length: 0\r\n\r\n",
        "control characters",
    ),
}
INSIDE_ITS_STREAM = {
    "nothing more": (b"", "it closed the connection"),
    "half an event": (b"9\r\ndata", "it closed the connection"),
    "garbage": (b"zz\r\n", "its answer is not HTTP"),
    "a length behind it": (b"0\r\nContent-Length: 5\r\n\r\n", "its answer is not HTTP"),
    "a coding behind it": (b"0\r\nTransfer-Encoding: x\r\n\r\n", "coding behind its body"),
}


def sends(raw: bytes) -> Callable[[Heard, asyncio.StreamWriter], Any]:
    async def script(_: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    return script


def message(told: Any, path: str) -> str:
    """What a client of each protocol reads as the error."""
    if path == "/v1/messages":
        assert told["type"] == "error"
    return str(told["error"]["message"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("raw", "said"), BEFORE_ITS_HEAD.values(), ids=BEFORE_ITS_HEAD)
async def test_what_is_no_answer_is_told_as_an_error(raw: bytes, said: str, path: str) -> None:
    async with standing() as stand, scripted(sends(raw)) as engine:
        await stand.admit(engine)
        answer = await stand.ask(path)
        assert answer.status_code == 502
        assert said in message(answer.json(), path)
        assert "`reconciler explain a` says how it is now" in message(answer.json(), path)
        assert len(engine.heard) == 1, "it may have been carried out"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("raw", "said"), INSIDE_ITS_STREAM.values(), ids=INSIDE_ITS_STREAM)
async def test_a_stream_that_is_none_any_more_ends_with_an_error_event(
    raw: bytes, said: str, path: str
) -> None:
    async with standing() as stand, scripted(sends(EVENTS + FIRST + raw)) as engine:
        await stand.admit(engine)
        answer = await stand.ask(path, stream=True)
        assert answer.text.startswith("data: 1\n\n")
        assert said in answer.text.rpartition("data: 1\n\n")[2]
        assert path == "/v1/responses" or said in message(last_event(answer), path)


def last_event(answer: httpx.Response) -> Any:
    lines = [line for line in answer.text.splitlines() if line.startswith("data: {")]
    return json.loads(lines[-1].removeprefix("data: "))


async def test_bytes_behind_an_answer_reach_no_other_client() -> None:
    behind = OK + b"Content-Length: 6\r\n\r\n{other"

    async def script(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(
            OK + b"Content-Length: 2\r\n\r\n{}" + (behind if b"first" in heard.body else b"")
        )

    async with standing() as stand, scripted(script) as engine:
        await stand.admit(engine, at_once=1)
        first = asyncio.create_task(stand.ask(user="first"))
        later = [asyncio.create_task(stand.ask(user="later")) for _ in range(3)]
        assert (await first).text == "{}"
        assert [(await one).text for one in later] == ["{}"] * 3
        assert engine.connections == 2


async def test_a_request_is_not_sent_twice_once_anything_was_heard() -> None:
    async def script(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if len(engine.heard) == 1:
            await answers(heard, writer)
        else:
            writer.write(b"HTTP/1.1 2")
            await writer.drain()
            writer.close()

    async with standing() as stand, scripted(script) as engine:
        await stand.admit(engine)
        assert (await stand.ask()).status_code == 200
        assert (await stand.ask()).status_code == 502
        assert len(engine.heard) == 2
