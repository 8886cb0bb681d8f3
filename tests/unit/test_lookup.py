"""A name that is not answered holds up no other name and no end; equal questions are one."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import pytest

from reconciler.edge.fast_loop import FastLoop
from reconciler.edge.lookup import LookupLoop
from reconciler.edge.loops import quickest
from reconciler.edge.ssh_probe import Door, knock

Run: TypeAlias = Callable[[Callable[[], Awaitable[None]]], None]
"""What runs a coroutine in an event loop of either kind."""

MANY = 50
"""More than a loop of Python has threads for names."""

SECONDS = 0.5


class Names:
    """A name server that is silent about names that say so, and knows none that says that."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.speaks = Event()
        self.addresses = [("127.0.0.1", 1)]

    def look_up(self, asked: bytes | str, *_: object, **__: object) -> Any:
        name = asked if isinstance(asked, str) else asked.decode()
        self.asked.append(name)
        if "silent" in name:
            self.speaks.wait()
        if "unknown" in name:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one) for one in self.addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.look_up)
    yield made
    made.speaks.set()


@pytest.fixture(params=[LookupLoop, FastLoop])
def run(request: pytest.FixtureRequest) -> Run:
    return partial(anyio.run, backend_options={"loop_factory": request.param})


async def silence(name: str) -> None:
    with pytest.raises(TimeoutError), anyio.fail_after(SECONDS):
        await anyio.getaddrinfo(name, 22)


def test_a_silent_name_server_holds_up_no_other_name_and_no_end(names: Names, run: Run) -> None:
    async def work() -> None:
        async with anyio.create_task_group() as group:
            for number in range(MANY):
                group.start_soon(silence, f"silent{number}")
            await anyio.lowlevel.checkpoint()
            with anyio.fail_after(SECONDS):
                assert (await anyio.getaddrinfo("tower", 22))[0][4] == ("127.0.0.1", 1)

    run(work)
    assert not names.speaks.is_set()


def test_a_name_that_is_asked_for_again_meanwhile_is_looked_up_once(names: Names, run: Run) -> None:
    async def meanwhile() -> None:
        assert await knock(Door("silent", 22), SECONDS) == "silent port 22 does not answer"

    async def afterwards() -> None:
        await anyio.getaddrinfo("tower", 22)
        await anyio.getaddrinfo("tower", 22)

    run(meanwhile)
    assert names.asked == ["silent"]
    run(afterwards)
    assert names.asked == ["silent", "tower", "tower"]


def test_a_name_that_is_not_known_is_said_in_the_words_of_the_system(
    names: Names, run: Run
) -> None:
    async def work() -> None:
        said = await knock(Door("unknown", 22), SECONDS)
        assert said == "the name unknown cannot be looked up: Name or service not known"

    run(work)
    assert names.asked == ["unknown"]


def test_a_failure_that_is_not_waited_for_any_more_is_not_told(
    names: Names, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        await silence("silent-then-unknown")
        names.speaks.set()
        with suppress(OSError):
            await anyio.getaddrinfo("silent-then-unknown", 22)

    run(work)
    gc.collect()
    assert caplog.records == []


def test_a_connection_is_made_to_a_name_by_what_is_looked_up_aside(names: Names, run: Run) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        names.addresses = [("127.0.0.2", port), ("127.0.0.1", port)]
        line, _ = await loop.create_connection(asyncio.Protocol, "tower", port)
        assert line.get_extra_info("peername") == ("127.0.0.1", port)
        line.close()
        names.addresses = [("127.0.0.2", port)]
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(asyncio.Protocol, "tower", port)
        server.close()

    run(work)
    assert names.asked == ["tower", "tower"]


def test_no_address_is_looked_up(names: Names, run: Run) -> None:
    async def work() -> None:
        for one in ("127.0.0.2", "::1"):
            with pytest.raises(OSError, match="refused|Connect"):
                await asyncio.get_running_loop().create_connection(asyncio.Protocol, one, 1)

    run(work)
    assert names.asked == []


def test_the_quick_loop_tells_a_time_that_passes_within_a_turn() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FastLoop)
        before = loop.time()
        assert before < loop.time() < before + SECONDS

    anyio.run(work, backend_options={"loop_factory": FastLoop})


def test_without_the_extra_the_loop_is_that_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    assert quickest() is FastLoop
    monkeypatch.setitem(sys.modules, "reconciler.edge.fast_loop", None)
    assert quickest() is LookupLoop
