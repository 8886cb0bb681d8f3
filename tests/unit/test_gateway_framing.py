"""Connections to the gateway: requests in pieces and in rows, and those that cannot be framed."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.gateway.client import ClientConnection
from tests.gateway_stand import CHAT, WITHIN, standing, until
from tests.scripted_engine import answers, scripted

CHUNKED = "Transfer-Encoding: chunked\r\n\r\nd\r\n%s\r\n0\r\n\r\n"
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


LENGTH = b"Content-Length: 0"
REFUSED = {
    "nonsense": (b"nonsense\r\n\r\n", 400),
    "another host": (GET.replace(b"localhost", b"evil.example"), 421),
    "no host": (GET.replace(b"Host: localhost\r\n", b""), 400),
    "an IPv6 address that does not end": (GET.replace(b"/x", b"http://[::1/x"), 400),
    "the URL of another host": (GET.replace(b"/x", b"http://evil.example/x"), 400),
    "a body of 93 GiB": (ASK.replace(LENGTH, b"Content-Length: 99999999999"), 413),
    "a field of 70 kB": (GET.replace(LENGTH, b"X: " + b"a" * 70_000), 431),
    "a field that does not end": (GET.replace(LENGTH, b"X: " + b"a" * 500_000)[:-8], 431),
    "10,000 fields": (GET.replace(LENGTH, b"\r\n".join([b"X:"] * 10_000)), 431),
    "two lengths": (GET.replace(LENGTH, LENGTH + b"\r\n" + LENGTH), 400),
    "a length and chunks": (GET.replace(LENGTH, LENGTH + b"\r\nTransfer-Encoding: chunked"), 400),
    "chunks and a length": (GET.replace(LENGTH, b"Transfer-Encoding: chunked\r\n" + LENGTH), 400),
    "a signed length": (GET.replace(LENGTH, b"Content-Length: +0"), 400),
    "a length of 20 digits": (GET.replace(LENGTH, b"Content-Length: " + b"0" * 20), 400),
    "another coding": (GET.replace(LENGTH, b"Transfer-Encoding: gzip, chunked"), 501),
    "chunked twice": (GET.replace(LENGTH, b"Transfer-Encoding: chunked, chunked"), 400),
    "chunks in HTTP/1.0": (
        GET.replace(LENGTH, b"Transfer-Encoding: chunked").replace(b"1.1", b"1.0"),
        400,
    ),
    "a chunk without a size": (ASK.replace(LENGTH, b"Transfer-Encoding: chunked") + b"x", 400),
    "a field that goes on": (GET.replace(LENGTH, b"X: a\r\n b"), 400),
    "a bare line feed": (GET.replace(LENGTH, b"X: a\nY: b"), 400),
    "a bare carriage return": (GET.replace(LENGTH, b"X: a\rY: b"), 400),
    "a NUL": (GET.replace(LENGTH, b"X: a\0b"), 400),
    "a blank before the colon": (GET.replace(LENGTH, b"Content-Length : 0"), 400),
    "a field without a name": (GET.replace(LENGTH, b": a"), 400),
    "an unknown method": (GET.replace(b"POST", b"PO ST"), 400),
    "a body of GET": (GET.replace(b"POST", b"GET").replace(LENGTH, b"Content-Length: 2"), 400),
    "chunks of GET": (
        GET.replace(b"POST", b"GET").replace(LENGTH, b"Transfer-Encoding: chunked"),
        400,
    ),
    "CONNECT": (b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "TRACE": (GET.replace(b"POST", b"TRACE"), 405),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/1.2": (GET.replace(b"1.1", b"1.2"), 505),
    "HTTP/0.9": (b"GET /x\r\n\r\n", 505),
    "a hidden slash": (GET.replace(b"/x", b"/x%2Fy"), 400),
    "a hidden backslash": (GET.replace(b"/x", b"/x%5cy"), 400),
    "a backslash": (GET.replace(b"/x", b"/x\\y"), 400),
    "a NUL in the path": (GET.replace(b"/x", b"/x%00"), 400),
    "the way up": (GET.replace(b"/x", b"/x/%2e./y"), 400),
    "two slashes": (GET.replace(b"/x", b"//x"), 400),
    "no ASCII": (GET.replace(b"/x", "/\u00e9".encode()), 400),
    "HTTP/1.0": (GET.replace(b"HTTP/1.1", b"HTTP/1.0"), 404),
}


@pytest.mark.parametrize(("raw", "status"), REFUSED.values(), ids=REFUSED)
async def test_a_connection_that_cannot_be_framed_is_answered_and_closed(
    raw: bytes, status: int
) -> None:
    async with standing() as stand:
        answer = await stand.send(raw)
        assert int(answer.split(b" ")[1]) == status
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


def is_read(connection: object) -> bool:
    return isinstance(connection, ClientConnection) and connection._reader.is_reading


@pytest.mark.parametrize(
    "raw", [b"POST /x HT", ASK.replace(b"Content-Length: 0", b"Content-Length: 9")]
)
async def test_who_is_slow_is_told_and_who_is_silent_is_left(raw: bytes) -> None:
    async with standing() as stand:
        asked = asyncio.create_task(stand.send(raw))
        clients = stand.front.clients
        await until(lambda: any(is_read(one) for one in clients._open))
        clients.sweep(1_000.0)
        assert b"408" in await asked


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    async with standing() as stand:
        asked = asyncio.create_task(stand.send(b""))
        await until(lambda: stand.front.clients.count == 1)
        stand.front.clients.sweep(1_000.0)
        assert await asked == b""


@pytest.mark.parametrize("framed", ["Content-Length: 13\r\n\r\n%s", CHUNKED])
async def test_a_request_that_asks_for_another_protocol_is_answered_in_this_one(
    framed: str,
) -> None:
    # Java's client asks for HTTP/2 in its first request, and sends its body all the same.
    asked = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    asked += (
        "Content-Type: application/json\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
        + framed % '{"model":"a"}'
    )
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        answer = await stand.send(asked.encode() + last)
        assert answer.count(b"HTTP/1.1 ") == 2
        assert b'\r\n\r\n{"model":"a"}HTTP/1.1 404' in answer
        assert engine.heard[0].body == b'{"model":"a"}'
        assert b"pgrade" not in engine.heard[0].head
        assert b"HTTP2-Settings" not in engine.heard[0].head


async def test_extensions_of_chunks_and_trailers_are_dropped() -> None:
    raw = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + JSON
    raw += b'Transfer-Encoding: chunked\r\n\r\nd;a="b"\r\n{"model":"a"}\r\n0;c\r\nX-Late: 1\r\n\r\n'
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        assert (await stand.send(raw)).endswith(b'{"model":"a"}')
        assert b"X-Late" not in engine.heard[0].head


async def test_what_stands_around_chunks_is_bounded() -> None:
    raw = ASK.replace(LENGTH, b"Transfer-Encoding: chunked") + b"1;"
    async with standing() as stand:
        assert b" 431 " in await stand.send(raw + b"a" * 500_000)
        assert b" 431 " in await stand.send(raw[:-2] + b"0\r\nX: " + b"a" * 500_000)


async def test_a_body_that_hides_its_model_is_refused_with_the_reason() -> None:
    async with standing() as stand:
        answer = await stand.client.post(
            CHAT,
            content=b"\x1f\x8b\x08",
            headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
        )
        assert answer.status_code == 415
        assert "it names the model" in answer.json()["error"]["message"]


async def test_http_1_0_gets_one_answer_and_its_end() -> None:
    first = GET.replace(b"1.1", b"1.0").replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
    async with standing() as stand:
        answer = await stand.send(first + GET)
        assert answer.count(b"HTTP/1.1 404") == 1
