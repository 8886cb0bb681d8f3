"""A name that is not answered holds up no other name and no end; equal questions are one."""

from __future__ import annotations

import gc
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from threading import Event
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest

from reconciler.edge.lookup import LookupLoop
from reconciler.edge.ssh_probe import Door, knock

Answer = TypeVar("Answer")
MANY = 50
"""More than a loop of Python has threads for names."""

SECONDS = 0.5
ADDRESS = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]


class Names:
    """A name server that is silent about names that say so, and knows none that says that."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.speaks = Event()

    def look_up(self, encoded: bytes, *_: object, **__: object) -> Any:
        name = encoded.decode()
        self.asked.append(name)
        if "silent" in name:
            self.speaks.wait()
        if "unknown" in name:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ADDRESS


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.look_up)
    yield made
    made.speaks.set()


def run(work: Callable[[], Awaitable[Answer]]) -> Answer:
    return anyio.run(work, backend_options={"loop_factory": LookupLoop})


async def silence(name: str) -> None:
    with pytest.raises(TimeoutError), anyio.fail_after(SECONDS):
        await anyio.getaddrinfo(name, 22)


def test_a_silent_name_server_holds_up_no_other_name_and_no_end(names: Names) -> None:
    async def work() -> None:
        async with anyio.create_task_group() as group:
            for number in range(MANY):
                group.start_soon(silence, f"silent{number}")
            await anyio.lowlevel.checkpoint()
            with anyio.fail_after(SECONDS):
                assert (await anyio.getaddrinfo("tower", 22))[0][4] == ("127.0.0.1", 1)

    run(work)
    assert not names.speaks.is_set()


def test_a_name_that_is_asked_for_again_meanwhile_is_looked_up_once(names: Names) -> None:
    async def meanwhile() -> str:
        return await knock(Door("silent", 22), SECONDS)

    async def afterwards() -> None:
        await anyio.getaddrinfo("tower", 22)
        await anyio.getaddrinfo("tower", 22)

    assert run(meanwhile) == "silent port 22 does not answer"
    assert names.asked == ["silent"]
    run(afterwards)
    assert names.asked == ["silent", "tower", "tower"]


def test_a_name_that_is_not_known_is_said_in_the_words_of_the_system(names: Names) -> None:
    async def work() -> None:
        said = await knock(Door("unknown", 22), SECONDS)
        assert said == "the name unknown cannot be looked up: Name or service not known"

    run(work)
    assert names.asked == ["unknown"]


def test_a_failure_that_is_not_waited_for_any_more_is_not_told(
    names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        await silence("silent-then-unknown")
        names.speaks.set()
        with suppress(OSError):
            await anyio.getaddrinfo("silent-then-unknown", 22)

    run(work)
    gc.collect()
    assert caplog.records == []
