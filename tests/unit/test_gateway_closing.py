"""The end of a connection on which the other side does not read, or says that it has said all."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from reconciler.gateway.client import LINGER_SECONDS, STALLED_SECONDS
from reconciler.gateway.engine import HIGH_WATER
from reconciler.gateway.exchange import Exchange
from tests.gateway_stand import WITHIN, Stand, standing, until
from tests.scripted_engine import Heard, answers, scripted
from tests.unit.test_gateway_bounds import ASKED, MIB, asked, connected, connections, soon
from tests.unit.test_tunnel import ASKS, SWITCHED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SMALL = 4096
LARGE = 8 * MIB
TURNS = 5
"""After so many turns of the event loop what a client sent has been passed on."""

CLOSED = ASKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@asynccontextmanager
async def narrow(stand: Stand) -> AsyncIterator[socket.socket]:
    """A client whose own system keeps next to nothing of what it does not read."""
    host, port = stand.address.split(":")
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (host, int(port)))
        await until(lambda: connections(stand))
        line = connections(stand)[0]._transport
        assert line is not None
        line.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        yield made


async def says_more(heard: Heard, writer: asyncio.StreamWriter) -> None:
    """Answer with more than its client's system takes, and less than the gateway may keep."""
    _ = heard
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (HIGH_WATER - SMALL))
    writer.write(bytes(HIGH_WATER - SMALL))


def unsent(stand: Stand) -> int:
    line = connections(stand)[0]._transport
    return 0 if line is None else line.get_write_buffer_size()


async def test_who_never_reads_the_end_of_the_last_answer_is_let_go() -> None:
    async with standing() as stand, scripted(says_more) as engine, narrow(stand) as client:
        await stand.admit(engine)
        await asyncio.get_running_loop().sock_sendall(client, CLOSED)
        await until(lambda: connections(stand)[0]._closes)
        assert unsent(stand)
        stand.front.clients.sweep(STALLED_SECONDS - 5.0)
        await asyncio.sleep(0)
        assert connections(stand)
        stand.front.clients.sweep(STALLED_SECONDS + 5.0)
        await until(lambda: not connections(stand))


async def test_who_reads_slowly_what_came_before_a_refusal_has_all_of_it() -> None:
    async with standing() as stand, scripted(says_more) as engine, narrow(stand) as client:
        await stand.admit(engine)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, ASKED + b"nonsense\r\n\r\n")
        await until(lambda: unsent(stand))
        heard = await loop.sock_recv(client, SMALL)
        await until(lambda: not unsent(stand) or connections(stand)[0]._closes)
        stand.front.clients.sweep(LINGER_SECONDS + 1.0)
        while piece := await soon(loop.sock_recv(client, SMALL)):
            heard += piece
        assert heard.count(bytes(HIGH_WATER - SMALL)) == 1
        assert b"HTTP/1.1 400 " in heard


async def test_an_engine_that_ends_before_it_has_read_the_request_has_lost_it() -> None:
    async def turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        line: Any = writer.transport
        line.pause_reading()
        writer.write_eof()
        try:
            await has_answer.wait()
        finally:
            line.abort()

    has_answer = asyncio.Event()

    async with standing() as stand, scripted(answers) as engine, connected(stand) as client:
        engine.serve = turn_away  # type: ignore[method-assign]
        await stand.admit(engine)
        client[1].write(asked(b'{"model": "a", "pad": "%b"}' % (b"x" * LARGE)))
        assert b" 502 " in await soon(client[0].readuntil(b"\r\n"))
        await until(lambda: stand.seat.in_flight == 0)
        has_answer.set()


async def test_a_tunnel_whose_client_reads_nothing_holds_no_place_for_ever() -> None:
    async def talks_on(heard: Heard, writer: asyncio.StreamWriter) -> None:
        _ = heard
        writer.write(SWITCHED)
        while True:
            writer.write(bytes(MIB))
            await writer.drain()

    asks = ASKS.format(path="/upstream/a/v1/realtime", fields="").encode()
    async with standing() as stand, scripted(talks_on) as engine, narrow(stand) as client:
        await stand.admit(engine)
        await asyncio.get_running_loop().sock_sendall(client, asks)
        await until(lambda: unsent(stand) > HIGH_WATER)
        stand.front.clients.sweep(STALLED_SECONDS - 5.0)
        assert stand.seat.in_flight == 1
        stand.front.clients.sweep(STALLED_SECONDS + 5.0)
        await until(lambda: stand.seat.in_flight == 0)
        await until(lambda: engine.gone == 1)


async def test_what_a_client_says_last_reaches_an_engine_that_reads_late() -> None:
    reads, has_all = asyncio.Event(), asyncio.Event()
    heard = 0

    async def reads_late(asking: Heard, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        writer.write(SWITCHED)
        line: Any = writer.transport
        line.pause_reading()
        await reads.wait()
        line.resume_reading()
        while piece := await asking.reader.read(MIB):
            heard += len(piece)
        has_all.set()
        writer.close()

    asks = ASKS.format(path="/upstream/a/v1/realtime", fields="").encode()
    async with standing() as stand, scripted(reads_late) as engine, connected(stand) as client:
        await stand.admit(engine)
        client[1].write(asks)
        await soon(client[0].readuntil(b"\r\n\r\n"))
        line = stand_engine(stand)
        line.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        said = 0
        while not line.get_write_buffer_size():
            client[1].write(bytes(HIGH_WATER // 2))
            said += HIGH_WATER // 2
            await client[1].drain()
            for _ in range(TURNS):
                await asyncio.sleep(0)
        client[1].close()
        await until(lambda: not connections(stand))
        reads.set()
        await asyncio.wait_for(has_all.wait(), WITHIN)
        assert heard == said


def stand_engine(stand: Stand) -> asyncio.Transport:
    """What the only exchange sends to its engine through."""
    exchange = connections(stand)[0]._exchange
    assert isinstance(exchange, Exchange)
    assert exchange._engine is not None
    assert exchange._engine.transport is not None
    return exchange._engine.transport
