"""Another protocol below /upstream/: what either side says goes through, until one of them ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from unittest.mock import create_autospec

import pytest

from reconciler.gateway.engine import EngineConnection, Listener
from tests.gateway_stand import Stand, standing, until
from tests.scripted_engine import Heard, ScriptedEngine, answers, scripted
from tests.unit.test_gateway_bounds import connected

ASKS = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: keep-alive, Upgrade\r\n"
    "Upgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s\r\nServer: x\r\n\r\n"
)
WITHIN = 10.0
LARGE = 8 * 1024 * 1024


class Talk(NamedTuple):
    """A client's side of a connection that asks for another protocol."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WITHIN)

    async def said(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), WITHIN)


@asynccontextmanager
async def asking(
    stand: Stand, path: str, more: bytes = b"", fields: str = ""
) -> AsyncIterator[Talk]:
    host, port = stand.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(ASKS.format(path=path, fields=fields).encode() + more)
    try:
        yield Talk(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def echoes(heard: Heard, writer: asyncio.StreamWriter) -> None:
    """Switch, greet, and say everything again."""
    writer.write(SWITCHED + b"hello")
    while received := await heard.reader.read(65536):
        writer.write(received)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def tunnelled(more: bytes = b"") -> AsyncIterator[tuple[Stand, ScriptedEngine, Talk]]:
    async with standing() as stand, scripted(echoes) as engine:
        await stand.admit(engine)
        async with asking(stand, "/upstream/a/v1/realtime?x=y", more) as talk:
            yield stand, engine, talk


async def test_all_bytes_go_through_both_ways() -> None:
    async with tunnelled(more=b"early") as (stand, engine, talk):
        head = await talk.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nSec-WebSocket-Accept: s\r\n" in head
        assert b"\r\nX-Request-ID: " in head
        assert b"Server:" not in head
        assert await talk.said(10) == b"helloearly"
        asked = engine.heard[0].head
        assert asked.startswith(b"GET /v1/realtime?x=y HTTP/1.1\r\n")
        for field in (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: k"):
            assert b"\r\n" + field + b"\r\n" in asked
        assert stand.seat.in_flight == 1
        assert stand.seat.traffic.used is not None


async def test_what_was_answered_before_adds_nothing_to_the_end_of_a_tunnel() -> None:
    async def script(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if heard.head.startswith(b"GET /page"):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        else:
            writer.write(SWITCHED + b"bye")
            writer.close()

    page = b"GET /upstream/a/page HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with standing() as stand, scripted(script) as engine:
        await stand.admit(engine)
        async with connected(stand) as (reader, writer):
            writer.write(page + ASKS.format(path="/upstream/a/socket", fields="").encode())
            heard = await asyncio.wait_for(reader.read(), WITHIN)
        assert heard.endswith(b"\r\n\r\nbye")


def test_an_engine_may_say_much_at_once_with_its_consent() -> None:
    listener = create_autospec(Listener, instance=True)
    connection = EngineConnection()
    connection.send(listener, b"", bodiless=False, may_upgrade=True)
    connection.data_received(SWITCHED + bytes(LARGE))
    assert listener.on_upgraded.call_args.args[1] == bytes(LARGE)
    listener.on_lost.assert_not_called()


async def test_a_side_that_reads_more_slowly_is_waited_for() -> None:
    async with tunnelled() as (_, _, talk):
        await talk.head()
        talk.writer.write(b"x" * LARGE)
        assert len(await talk.said(5 + LARGE)) == 5 + LARGE


async def test_the_end_of_the_client_is_that_of_the_engines_side() -> None:
    async with tunnelled() as (stand, engine, talk):
        await talk.head()
        talk.writer.close()
        await until(lambda: engine.gone == 1)
        await until(lambda: stand.seat.in_flight == 0)


async def test_the_end_of_the_engine_is_that_of_the_clients_side() -> None:
    async def greets(_: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCHED + b"hello")
        await writer.drain()
        writer.close()

    async with standing() as stand, scripted(greets) as engine:
        await stand.admit(engine)
        async with asking(stand, "/upstream/a/") as talk:
            rest = await asyncio.wait_for(talk.reader.read(), WITHIN)
            assert rest.endswith(b"\r\n\r\nhello")
            await until(lambda: stand.seat.in_flight == 0)


async def test_it_is_cut_when_the_gateway_ends() -> None:
    async with tunnelled() as (stand, _, talk):
        await talk.head()
        await until(lambda: stand.front.clients.count == 1)
        stand.front.clients.cut()
        with pytest.raises(asyncio.IncompleteReadError):
            await talk.said(1000)
        assert stand.seat.in_flight == 0


async def test_it_waits_for_its_model() -> None:
    async with (
        standing() as stand,
        scripted(echoes) as engine,
        asking(stand, "/upstream/a/") as talk,
    ):
        await until(lambda: stand.seat.demand.waiting == 1)
        await stand.admit(engine)
        assert (await talk.head()).startswith(b"HTTP/1.1 101 ")


async def test_an_engine_may_answer_that_it_speaks_no_other_protocol() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        async with asking(stand, "/upstream/a/") as talk:
            assert (await talk.head()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_elsewhere_no_other_protocol_is_spoken() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        async with asking(stand, "/slots") as talk:
            assert (await talk.head()).startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Upgrade" not in engine.heard[0].head
