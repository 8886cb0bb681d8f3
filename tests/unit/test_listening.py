"""Where requests are taken, and what becomes of those under way when that ends."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from reconciler.edge.given_sockets import given_sockets
from reconciler.errors import Misused
from reconciler.gateway.client import FIRST_SECONDS
from reconciler.gateway.listening import Listening
from tests.gateway_stand import CHAT, ROUTES, WITHIN, Stand, a_front, standing, until
from tests.scripted_engine import Heard, Script, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
REQUEST = KEPT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
JSON = "Content-Type: application/json\r\n"
ASKED = (
    f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 13\r\n\r\n".encode()
    + b'{"model":"a"}'
)


def given(host: str = "127.0.0.1", family: int = socket.AF_INET) -> socket.socket:
    """Make a socket as systemd does."""
    made = socket.socket(family)
    made.bind((host, 0))
    made.listen()
    return made


def copies(*made: socket.socket, name: str = "http") -> dict[int, str]:
    """Give descriptors of sockets to a process, as systemd does: it keeps its own."""
    return {os.dup(one.fileno()): name for one in made}


async def test_requests_are_taken_by_each_socket_that_systemd_gives() -> None:
    with given() as four, given("::1", socket.AF_INET6) as six:
        async with a_front(0.0, copies(four, six)).opened() as addresses:
            assert addresses == (
                f"127.0.0.1:{four.getsockname()[1]}",
                f"[::1]:{six.getsockname()[1]}",
            )
            for address in addresses:
                assert b"HTTP/1.1 200 OK" in await sent(address, REQUEST)


async def sent(address: str, raw: bytes) -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.write(raw)
    with closing(writer):
        return await asyncio.wait_for(reader.read(), WITHIN)


async def test_who_connects_between_two_processes_is_answered_by_the_second() -> None:
    with given() as kept:
        async with a_front(0.0, copies(kept)).opened() as (address,):
            pass
        waiting = asyncio.create_task(sent(address, REQUEST))
        async with a_front(WITHIN, copies(kept)).opened():
            assert b"HTTP/1.1 200 OK" in await waiting


def unix() -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind("")
    made.listen()
    return made


def silent() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


@pytest.mark.parametrize(
    ("make", "name", "said"),
    [
        (given, "other", 'the name "other"; expected FileDescriptorName=http'),
        (unix, "http", "takes no connections over TCP; expected ListenStream=127.0.0.1:8400"),
        (silent, "http", "takes no connections over TCP; expected ListenStream=127.0.0.1:8400"),
        (lambda: given("0.0.0.0"), "http", "ListenStream= with 0.0.0.0, expected an address of"),  # noqa: S104
    ],
)
async def test_a_socket_that_cannot_be_is_refused(
    make: Callable[[], socket.socket], name: str, said: str
) -> None:
    with make() as made:
        front = a_front(0.0, copies(made, name=name))
        with pytest.raises(Misused, match=said):
            async with front.opened():
                pass


def test_an_address_beside_sockets_of_systemd_is_refused() -> None:
    with pytest.raises(Misused, match=r"leave it out: ListenStream= of the .socket unit"):
        Listening("127.0.0.1:1", {3: "http"})


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "http:control"}, {3: "http", 4: "control"}),
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "http"}, {3: "http", 4: "unknown"}),
        ({"LISTEN_FDS": "1"}, {3: "unknown"}),
        ({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {}),
        ({"LISTEN_FDS": "x"}, {}),
        ({}, {}),
    ],
)
def test_what_systemd_gives_is_known_by_name_and_kept_from_engines(
    told: dict[str, str], found: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(os, "set_inheritable", lambda number, _: kept.append(number))
    assert given_sockets({"LISTEN_PID": str(os.getpid()), **told}) == found
    assert kept == [*found]


async def halves(_: Heard, writer: asyncio.StreamWriter) -> None:
    """Answer with the first half of an event, and no more."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    writer.write(head + b"\r\n6\r\ndata: \r\n")
    await writer.drain()
    await asyncio.sleep(WITHIN)


async def begins(_: Heard, writer: asyncio.StreamWriter) -> None:
    """Answer with the first half of a body, and no more."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12")
    await writer.drain()
    await asyncio.sleep(WITHIN)


async def thinks(_: Heard, __: asyncio.StreamWriter) -> None:
    """Answer with nothing."""
    await asyncio.sleep(WITHIN)


@pytest.mark.parametrize(
    ("script", "begun", "end"),
    [
        (halves, b"data: ", rb"\r\n97\r\n\n\ndata: \{.*is being restarted.*\r\n0\r\n\r\n"),
        (begins, b"\r\n\r\n12", rb""),
        (thinks, b"", rb"HTTP/1.1 503 .*\r\nConnection: close\r\n.*is being restarted.*"),
    ],
)
async def test_what_does_not_end_in_time_ends_with_an_error(
    script: Script, begun: bytes, end: bytes
) -> None:
    front = a_front(0.0)
    front.doors.route(ROUTES)
    async with scripted(script) as engine, httpx.AsyncClient() as unused:
        async with front.opened() as (address,):
            await Stand(front, address, unused).admit(engine)
            host, port = address.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(ASKED)
            await until(lambda: engine.heard)
            if begun:
                await reader.readuntil(begun)
        with closing(writer):
            try:
                rest = await reader.read()
            except ConnectionResetError:
                rest = b""
        assert re.fullmatch(end, rest, re.DOTALL)


async def test_a_connection_that_is_new_when_the_gateway_ends_may_still_ask() -> None:
    async with standing() as stand:
        clients = stand.front.clients
        asked, silent_too = [await connected(stand) for _ in range(2)]
        idle = await connected(stand)
        idle[1].write(KEPT)
        assert b"200 OK" in await idle[0].readuntil(b"\r\n\r\n")
        await until(lambda: clients.count == 3)
        clients.leave()
        assert b"}" in await idle[0].read()
        asked[1].write(KEPT)
        assert b"\r\nConnection: close\r\n" in await asked[0].read()
        clients.sweep(0.0)
        await until(lambda: clients.count == 1)
        clients.sweep(FIRST_SECONDS + 1.0)
        assert await silent_too[0].read() == b""
        for _, writer in (asked, silent_too, idle):
            writer.close()


async def connected(stand: Stand) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = stand.address.split(":")
    return await asyncio.open_connection(host, int(port))
