"""Measure streams through `serve`: what an event costs, how late it is, and a thousand at once."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

from reconciler.gateway.clients import SWEEP_SECONDS
from tests import compiled
from tests.bench.go_proxy import proxy
from tests.bench.serving import CHAT, SMALL, WITHOUT_FAST, Process, Serving, out_of, serving

WRITTEN = re.compile(rb'"t": (\d+)')
LATEST_SECONDS = 120.0
ROUNDS = 3


class Wish(NamedTuple):
    """So many streams of so many events, one every so many milliseconds."""

    streams: int
    events: int
    each: int


SEVERAL, ONE, MANY = Wish(64, 250, 20), Wish(1, 500, 10), Wish(1000, 20, 500)


class Events(NamedTuple):
    """The events of all streams: how late each came, in seconds, and how many streams failed."""

    late: list[float]
    failed: int


class Reader(asyncio.Protocol):
    """A client of one stream."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._transport: asyncio.Transport | None = None
        self._end = b""
        self.late: list[float] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        target = f"{CHAT}?events={self._wish.events}&each={self._wish.each}"
        head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self._transport.write(f"{head}Content-Length: {len(SMALL)}\r\n\r\n{SMALL}".encode())

    def data_received(self, received: bytes) -> None:
        now = time.monotonic_ns()
        self.late += [(now - int(written)) / 1e9 for written in WRITTEN.findall(received)]
        self._end = (self._end + received)[-5:]
        if self._end == b"0\r\n\r\n" and self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        whole = self._end == b"0\r\n\r\n" and len(self.late) == self._wish.events
        self.done.set_result(whole)


async def read(port: int, wish: Wish) -> Events:
    """Read all streams to their ends."""
    loop = asyncio.get_running_loop()
    readers = []
    for _ in range(wish.streams):
        _, reader = await loop.create_connection(lambda: Reader(wish), "127.0.0.1", port)
        readers.append(reader)
    async with asyncio.timeout(LATEST_SECONDS):
        ended = [await reader.done for reader in readers]
    return Events([late for reader in readers for late in reader.late], ended.count(False))


def streams() -> Iterator[str]:
    """Read 64 streams, one, and a thousand."""
    with compiled.package() as package:
        yield from _few(package)
        yield from _crowd(package)


def _few(package: Path) -> Iterator[str]:
    """What an event costs among 64 streams, and how late it is in one."""
    with (
        serving(out_of(package)) as served,
        serving() as fast,
        serving(WITHOUT_FAST) as plain,
        proxy(served.engine) as go,
    ):
        ways = {"": served, "not compiled": fast, "without `fast`": plain}
        asked = {name: (one.port, one.process) for name, one in ways.items()}
        asked |= {"Go's proxy": go} if go else {}
        costs: dict[str, list[float]] = {name: [] for name in asked}
        added = []
        for _ in range(ROUNDS):
            for name, way in asked.items():
                costs[name].append(_cost(*way))
            added.append(asyncio.run(_added(served)))
    cost = {name: f"{statistics.median(found) * 1e6:.1f}" for name, found in costs.items()}
    ours = cost.pop("")
    others = ", ".join(f"{name} {other}" for name, other in cost.items())
    yield f"| CPU of `serve` per streamed event, 64 streams | ≤ 15 µs | {ours} µs ({others} µs) |"
    yield (
        "| delay that `serve` adds to an event of one stream, p50 | ≤ 60 µs |"
        f" {statistics.median(added) * 1e6:.0f} µs |"
    )


def _crowd(package: Path) -> Iterator[str]:
    """Read a thousand at once, with no other Python beside it that would share its memory."""
    with serving(out_of(package)) as served:
        held = asyncio.run(read(served.port, MANY))
        time.sleep(2 * SWEEP_SECONDS)
        yield (
            f"| {MANY.streams} streams at once: failed, memory of `serve` afterwards | 0; ≤ 60 MB |"
            f" {held.failed}; {served.process.memory} |"
        )


def _cost(port: int, process: Process) -> float:
    before = process.cpu()
    found = asyncio.run(read(port, SEVERAL))
    assert not found.failed, found.failed
    return (process.cpu() - before) / len(found.late)


async def _added(served: Serving) -> float:
    """How much later the events of one stream come than those of one straight from the engine.

    Both are read at once, each first in turn: what an idle machine takes to wake is paid by both.
    """
    ways = (served.port, served.engine)
    first, second = await _pair(*ways), await _pair(*reversed(ways))
    return (first[0] - first[1] + second[1] - second[0]) / 2


async def _pair(first: int, second: int) -> tuple[float, float]:
    """The medians of two streams, the second half a beat behind the first."""

    async def behind() -> Events:
        await asyncio.sleep(ONE.each / 2000)
        return await read(second, ONE)

    found = await asyncio.gather(read(first, ONE), behind())
    return statistics.median(found[0].late), statistics.median(found[1].late)
