"""What clients can make the gateway hold is bounded: each bound over real sockets."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from reconciler.edge import heap
from reconciler.gateway import clients, seats
from reconciler.gateway.client import STALLED_SECONDS, ClientConnection
from reconciler.gateway.counts import Counts
from reconciler.model.traffic import Route, Routes
from reconciler.ports import EngineWay
from tests.gateway_stand import CHAT, ROUTES, WITHIN, Stand, standing, until
from tests.sample_worlds import HOST, identity
from tests.scripted_engine import Heard, answers, scripted

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1024 * 1024
HEAD = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def asked(body: bytes, length: int | None = None) -> bytes:
    return f"{HEAD}Content-Length: {length or len(body)}\r\n\r\n".encode() + body


ASKED = asked(b'{"model": "a"}')


@asynccontextmanager
async def connected(stand: Stand) -> AsyncIterator[Client]:
    host, port = stand.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def many(stack: AsyncExitStack, stand: Stand, count: int) -> list[Client]:
    return [await stack.enter_async_context(connected(stand)) for _ in range(count)]


async def soon(awaited: Awaitable[bytes]) -> bytes:
    return await asyncio.wait_for(awaited, WITHIN)


def connections(stand: Stand) -> Sequence[ClientConnection]:
    found = stand.front.clients._open
    return [one for one in found if isinstance(one, ClientConnection)]


async def test_heads_that_come_a_byte_at_a_time_end_and_harm_no_other() -> None:
    async with standing() as stand, scripted(answers) as engine, AsyncExitStack() as stack:
        await stand.admit(engine)
        slow = await many(stack, stand, 100)
        for _, writer in slow:
            writer.write(b"POST / HTTP/1.1\r\nX: ")
        await until(lambda: sum(one._reader.is_reading for one in connections(stand)) == len(slow))
        assert (await stand.ask()).status_code == 200
        for seconds in range(12):
            for _, writer in slow:
                writer.write(b"a")
            stand.front.clients.sweep(seconds)
            # Some releases of uvloop send what is written only now.
            await asyncio.sleep(0)
        for reader, _ in slow:
            assert b" 408 " in await soon(reader.read())


async def test_a_body_that_trickles_ends_too() -> None:
    async with standing() as stand, connected(stand) as (reader, writer):
        writer.write(asked(b"x" * 2048, MIB))
        await until(lambda: [one for one in connections(stand) if one._reader.held == 2048])
        stand.front.clients.sweep(11.5)
        stand.front.clients.sweep(12.5)
        assert b" 408 " in await soon(reader.read())


async def test_33_mib_are_refused_before_they_are_sent_and_also_in_chunks() -> None:
    async with standing() as stand, connected(stand) as one, connected(stand) as other:
        one[1].write(asked(b"", 33 * MIB))
        assert b" 413 " in await soon(one[0].read())
        other[1].write(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        piece = b"100000\r\n%b\r\n" % bytes(MIB)
        for _ in range(33):
            other[1].write(piece)
            await other[1].drain()
        assert b" 413 " in await soon(other[0].read())
        assert stand.front.clients.bodies == 0


CROWDED = 20
CROWD = tuple(Route(model=f"m{number}", host=HOST, active=True) for number in range(5))


@pytest.fixture
def open_files() -> Iterator[None]:
    """Let this process hold both ends of two thousand connections."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


@pytest.mark.usefixtures("open_files")
async def test_no_more_wait_in_all_than_may() -> None:
    async with standing() as stand, AsyncExitStack() as stack:
        stand.front.doors.route(Routes(models=CROWD))
        held = await many(stack, stand, seats.MOST_HELD)
        for number, (_, writer) in enumerate(held):
            writer.write(asked(b'{"model": "m%d"}' % (number % len(CROWD))))
        places = [stand.front.doors.of_model(route.model) for route in CROWD]
        await until(lambda: sum(one.waiting for one in places if one) == seats.MOST_HELD)
        answer = await stand.ask(model="m0")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert "2000 requests wait here already" in answer.json()["error"]["message"]
        held[0][1].close()
        await until(lambda: sum(one.waiting for one in places if one) < seats.MOST_HELD)
        async with scripted(answers) as engine:
            for route in CROWD:
                way = EngineWay(engine.url, 64)
                await stand.front.doors.gate(HOST).admit(route.model, identity(1), way)
            for reader, _ in held[1:]:
                assert b" 200 OK" in await soon(reader.readuntil(b"\r\n\r\n"))


async def test_all_bodies_together_are_bounded_and_what_is_free_again_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "MOST_BODIES", 5 * MIB // 2)
    body = b'{"model": "a", "x": "' + b"x" * MIB + b'"}'
    async with standing() as stand, AsyncExitStack() as stack:
        held = await many(stack, stand, 2)
        for _, writer in held:
            writer.write(asked(body))
        await until(lambda: stand.seat.waiting == 2)
        assert stand.front.clients.bodies == 2 * len(body)
        (refused,) = await many(stack, stand, 1)
        refused[1].write(asked(body))
        assert b" 503 " in await soon(refused[0].read())
        assert (await stand.client.get("/v1/models")).status_code == 200
        held[0][1].close()
        await until(lambda: stand.seat.waiting == 1)
        (other,) = await many(stack, stand, 1)
        other[1].write(asked(body))
        async with scripted(answers) as engine:
            await stand.admit(engine)
            for reader, _ in (held[1], other):
                assert b" 200 OK" in await soon(reader.readuntil(b"\r\n\r\n"))
        await until(lambda: stand.front.clients.bodies == 0)


async def test_no_more_connect_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MOST_CLIENTS", 3)
    async with standing() as stand, AsyncExitStack() as stack:
        await many(stack, stand, 3)
        await until(lambda: stand.front.clients.count == 3)
        (one,) = await many(stack, stand, 1)
        assert await soon(one[0].read()) == b""


@pytest.mark.parametrize(("files", "most"), [(1024, 341), (524288, 4096), (-1, 4096)])
def test_no_more_connect_than_there_are_files_for(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, resource.RLIM_INFINITY))
    known = clients.Clients(Counts())
    assert known._most == most


async def test_clients_are_answered_also_where_more_connect_at_once_than_there_are_files_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with standing() as stand, scripted(answers) as engine, AsyncExitStack() as stack:
        await stand.admit(engine)
        assert (await stand.ask()).status_code == 200
        host, port = stand.address.split(":")
        crowd = [stack.enter_context(socket.socket()) for _ in range(CROWDED)]
        spare = os.open(os.devnull, os.O_RDONLY)
        os.close(spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 4, most))
        try:
            for one in crowd:
                one.connect((host, int(port)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
        assert len(caplog.records) <= 2
        await until(lambda: stand.front.clients.count == CROWDED + 1)
        assert (await stand.ask()).status_code == 200


class From:
    """A connection from somewhere."""

    def __init__(self, address: str) -> None:
        self.address = address

    def sweep(self, now: float) -> None: ...

    def leave(self) -> None: ...

    def cut(self) -> None: ...


async def test_one_machine_takes_no_more_connections_than_its_share() -> None:
    known = clients.Clients(Counts())
    crowd = [From("192.0.2.1") for _ in range(clients.MOST_OF_ONE_ADDRESS)]
    for one in (*crowd, *(From("") for _ in range(1_000))):
        known.opened(one)
    assert not known.has_room("192.0.2.1")
    assert known.has_room("192.0.2.2")
    assert known.has_room(""), "a proxy on this machine comes for many"
    for _ in range(2):
        known.closed(crowd[0])
    assert known.has_room("192.0.2.1")
    known.opened(crowd[0])
    assert not known.has_room("192.0.2.1")


async def floods(_: Heard, writer: asyncio.StreamWriter) -> None:
    """Answer with more than any buffer takes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
    for piece in [bytes(1_000_000)] * 200:
        writer.write(piece)
        await writer.drain()


async def test_a_client_that_reads_nothing_for_ten_minutes_holds_no_place_any_more() -> None:
    async with standing() as stand, scripted(floods) as engine, connected(stand) as (_, writer):
        await stand.admit(engine)
        writer.write(ASKED)
        await until(lambda: [one for one in connections(stand) if one._paused is not None])
        stand.front.clients.sweep(STALLED_SECONDS - 5.0)
        assert stand.seat.in_flight == 1
        stand.front.clients.sweep(STALLED_SECONDS + 5.0)
        await until(lambda: stand.seat.in_flight == 0)
        await until(lambda: engine.gone == 1)


@pytest.mark.parametrize("is_open", [True, False])
async def test_a_client_that_closes_half_of_its_connection_is_gone(is_open: bool) -> None:
    async def thinks(heard: Heard, _: asyncio.StreamWriter) -> None:
        await heard.reader.read()

    async with standing() as stand, scripted(thinks) as engine, connected(stand) as (_, writer):
        if is_open:
            await stand.admit(engine)
        writer.write(ASKED)
        await until(lambda: stand.seat.in_flight or stand.seat.waiting)
        writer.write_eof()
        await until(lambda: not stand.seat.in_flight and not stand.seat.waiting)


async def test_what_is_sent_ahead_is_bounded() -> None:
    async with standing() as stand, connected(stand) as (_, writer):
        writer.write(ASKED)
        await until(lambda: stand.seat.waiting)
        ahead = asyncio.create_task(sends(writer, 100 * MIB))
        (one,) = connections(stand)
        await until(lambda: one._transport is not None and not one._transport.is_reading())
        assert len(one._ahead) < MIB
        ahead.cancel()


async def test_who_reads_no_answer_is_given_no_more_and_goes_on_later() -> None:
    async with standing() as stand, connected(stand) as (reader, writer):
        asks = asyncio.create_task(repeats(writer, LOOKS))
        await until(lambda: connections(stand))
        (one,) = connections(stand)
        await until(lambda: one._paused is not None and one._ahead)
        await until(lambda: one._transport is not None and not one._transport.is_reading())
        begun = one._reader.begun
        assert len(one._reader.whole) < 10_000
        stand.front.clients.sweep(80.0)
        while one._reader.begun == begun:
            assert await soon(reader.read(MIB))
        asks.cancel()


async def test_what_came_at_once_is_answered_before_more_is_read() -> None:
    async with standing() as stand, connected(stand) as (reader, writer):
        asks = asyncio.create_task(repeats(writer, LISTS))
        await until(lambda: connections(stand))
        (one,) = connections(stand)
        while one._reader.begun < 10_000:
            assert await soon(reader.read(MIB))
            assert len(one._reader.whole) < 10_000
        asks.cancel()


LISTS = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000
LOOKS = b"GET /api/v1/status?x=%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * 8000)


async def repeats(writer: asyncio.StreamWriter, raw: bytes) -> None:
    while True:
        writer.write(raw)
        await writer.drain()


async def sends(writer: asyncio.StreamWriter, size: int) -> None:
    for _ in range(size // MIB):
        writer.write(bytes(MIB))
        await writer.drain()


async def test_the_file_says_how_large_a_request_may_be() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        stand.front.doors.route(ROUTES.model_copy(update={"largest": 2 * 1024 * 1024}))
        assert (await stand.ask(messages=["x" * 1_900_000])).status_code == 200
        told = await stand.ask(messages=["x" * 2_200_000])
        assert told.status_code == 413
        assert "the body is larger than 2 MiB; `limits` under `gateway`" in told.text


async def test_what_bodies_held_goes_back_to_the_system_while_clients_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = list[float]()
    monkeypatch.setattr(clients, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(heap, "trim", lambda: given.append(0.0))
    async with standing() as stand, connected(stand):
        await until(lambda: len(given) > 1)
        assert stand.front.clients.count == 1
