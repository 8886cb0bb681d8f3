"""Connections to the gateway: requests in pieces and in rows, and those that cannot be framed."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway_stand import CHAT, WITHIN, standing, until
from tests.scripted_engine import answers, scripted

GET = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
JSON = b"Content-Type: application/json\r\n"
ASK = GET.replace(b"/x", CHAT.encode()).replace(b"Content-Length", JSON + b"Content-Length")


async def test_requests_that_come_at_once_are_answered_in_their_order() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        bodies = [b'{"n": %d}' % number for number in range(300)]
        raw = b"".join(
            ASK.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body)) + body
            for body in bodies
        )
        answer = await stand.send(raw + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert [heard.body for heard in engine.heard] == bodies
        assert answer.count(b"HTTP/1.1 200 OK") == len(bodies)


@pytest.mark.parametrize("size", [1, 7, 40])
async def test_a_request_may_come_in_pieces_of_any_size(size: int) -> None:
    body = b'{"model": "a"}'
    raw = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    raw += JSON + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        host, port = stand.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for start in range(0, len(raw), size):
            writer.write(raw[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.read(), WITHIN)
        writer.close()
        await writer.wait_closed()
        assert answer.endswith(body)
        assert engine.heard[0].body == body


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (GET.replace(b"localhost", b"evil.example"), b"421"),
        (ASK.replace(b"Content-Length: 0", b"Content-Length: 99999999999"), b"413"),
        (GET.replace(b"Content-Length: 0", b"X: " + b"a" * 70_000), b"431"),
        (GET.replace(b"Content-Length: 0", b"Content-Length: 0\r\nContent-Length: 0"), b"400"),
        (GET.replace(b"HTTP/1.1", b"HTTP/1.0"), b"404"),
    ],
)
async def test_a_connection_that_cannot_be_framed_is_answered_and_closed(
    raw: bytes, status: bytes
) -> None:
    async with standing() as stand:
        answer = await stand.send(raw)
        assert answer.split(b" ")[1] == status
        assert b"connection: close" in answer.lower()


async def test_the_answer_to_a_head_has_no_body_that_the_next_one_could_be_taken_for() -> None:
    head = GET.replace(b"POST", b"HEAD").replace(b"Content-Length: 0\r\n", b"")
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with standing() as stand:
        first, second = (await stand.send(head + last)).split(b"HTTP/1.1 404 Not Found\r\n")[1:]
        assert first.endswith(b"\r\n\r\n")
        assert second.endswith(b"}")


async def test_a_body_is_asked_for_only_when_its_head_is_accepted() -> None:
    raw = ASK.replace(b"Content-Length: 0", b"Expect: 100-continue\r\nContent-Length: 2")
    async with standing() as stand:
        host, port = stand.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(raw)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"[]")
        assert b"400" in await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "raw", [b"POST /x HT", ASK.replace(b"Content-Length: 0", b"Content-Length: 9")]
)
async def test_who_is_slow_is_told_and_who_is_silent_is_left(raw: bytes) -> None:
    async with standing() as stand:
        asked = asyncio.create_task(stand.send(raw))
        clients = stand.front.clients
        await until(lambda: any(getattr(one, "_is_reading", False) for one in clients._open))
        while not asked.done():
            clients.sweep(1_000.0)
            await asyncio.sleep(0.001)
        assert b"408" in await asked


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    async with standing() as stand:
        asked = asyncio.create_task(stand.send(b""))
        await until(lambda: stand.front.clients.count == 1)
        stand.front.clients.sweep(1_000.0)
        assert await asked == b""
