"""What a request costs the gateway, where that can be counted."""

from __future__ import annotations

import asyncio
import gc
import socket
from typing import TYPE_CHECKING

import pytest
from httptools import HttpRequestParser

from reconciler.gateway.client import ClientConnection
from reconciler.gateway.engine import EngineConnection
from reconciler.gateway.exchange import Exchange
from reconciler.gateway.pool import Pool
from reconciler.gateway.signs_of_life import SignsOfLife
from tests.gateway_stand import CHAT, Stand, standing, until
from tests.scripted_engine import Heard, answers, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = b'{"model": "a"}'
REQUEST = (
    f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY


class Pieces(asyncio.Protocol):
    """A client that keeps what it gets, in the pieces in which that came."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def data_received(self, received: bytes) -> None:
        self.received.append(received)


async def test_what_an_engine_sends_at_once_is_sent_on_at_once() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        host, _, port = stand.address.partition(":")
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_connection(Pieces, host, int(port))
        for count in (1, 2):
            transport.write(REQUEST)
            await until(lambda: b"".join(client.received).count(BODY) == count)  # noqa: B023
            assert len(client.received) == count
        transport.close()


async def test_an_answered_request_and_a_client_that_left_are_gone_at_once() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        gc.collect()  # what other tests left
        gc.disable()
        try:
            assert (await stand.ask()).is_success
            assert _count(Exchange) == 0
            await stand.client.aclose()
            await until(lambda: _count(ClientConnection) == 0)
        finally:
            gc.enable()


async def test_a_client_that_left_before_its_answer_is_gone_at_once_with_its_body() -> None:
    async with standing() as stand, scripted(_never) as engine:
        await _left(stand, lambda: stand.seat.is_awaited)
        await stand.admit(engine)
        await _left(stand, lambda: stand.seat.in_flight)
        engine.heard.clear()
        await _left(stand, lambda: engine.heard)


async def _left(stand: Stand, until_then: Callable[[], object]) -> None:
    """Ask, leave as soon as something is so, and look at what is left of it."""
    host, _, port = stand.address.partition(":")
    gc.collect()  # what other tests left
    gc.disable()
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(Pieces, host, int(port))
        transport.write(REQUEST)
        await until(until_then)
        transport.abort()
        await until(lambda: _count(ClientConnection) == _count(Exchange) == 0)
    finally:
        gc.enable()


async def test_a_request_that_is_answered_keeps_nothing_of_how_it_was_read_and_sent() -> None:
    async with standing() as stand, scripted(_never) as engine:
        await stand.admit(engine)
        gc.collect()  # what other tests left
        parsers, tasks = _count(HttpRequestParser), len(asyncio.all_tasks())
        asking = asyncio.create_task(stand.ask())
        await until(lambda: engine.heard)
        # Those that ask, and the engine that has taken the connection.
        assert len(asyncio.all_tasks()) == tasks + 2
        assert _count(HttpRequestParser) == parsers
        asking.cancel()


async def test_every_event_of_an_engine_need_not_be_acknowledged_alone() -> None:
    async with scripted(answers) as engine:
        connection = await Pool(("127.0.0.1", engine.port), lambda: 0.0).connect()
        assert connection.transport is not None
        line = connection.transport.get_extra_info("socket")
        assert not line.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
        connection.abort()


@pytest.mark.parametrize("kind", [ClientConnection, EngineConnection, Exchange, SignsOfLife])
def test_what_each_event_goes_through_is_found_in_one_place(kind: type) -> None:
    # With 64 streams it is fetched from memory for each event: a dict is another place to fetch.
    assert kind.__dictoffset__ == 0


async def _never(_: Heard, writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


def _count(kind: type) -> int:
    return sum(isinstance(one, kind) for one in gc.get_objects())
