"""Measure streams through `serve`: what an event costs, how late it is, and a thousand at once."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple, cast

from tests.bench.go_proxy import proxy
from tests.bench.serving import CHAT, SMALL, WITHOUT_FAST, Process, serving

WRITTEN = re.compile(rb'"t": (\d+)')
LATEST_SECONDS = 120.0
ROUNDS = 3
MANY = 1000


class Wish(NamedTuple):
    """So many streams of so many events, one every so many milliseconds."""

    streams: int
    events: int
    each: int


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
    with serving() as served, serving(WITHOUT_FAST) as plain, proxy(served.engine) as go:
        several, one = Wish(64, 250, 20), Wish(1, 500, 10)
        costs, plainly, others, direct, through = [], [], [], [], []
        for _ in range(ROUNDS):
            costs.append(_cost(served.port, served.process, several))
            plainly.append(_cost(plain.port, plain.process, several))
            others += [_cost(*go, several)] if go else []
            direct.append(_median(served.engine, one))
            through.append(_median(served.port, one))
        compared = f", Go's proxy {statistics.median(others) * 1e6:.1f} µs" if others else ""
        yield (
            "| CPU of `serve` per streamed event, 64 streams | ≤ 15 µs |"
            f" {statistics.median(costs) * 1e6:.1f} µs (without `fast`"
            f" {statistics.median(plainly) * 1e6:.1f} µs{compared}) |"
        )
        added = statistics.median(ours - bare for ours, bare in zip(through, direct, strict=True))
        medians = f"{statistics.median(through) * 1e6:.0f} - {statistics.median(direct) * 1e6:.0f}"
        yield (
            "| delay that `serve` adds to an event of one stream, p50 | ≤ 60 µs |"
            f" {added * 1e6:.0f} µs (medians {medians}) |"
        )
        held = asyncio.run(read(served.port, Wish(MANY, 20, 500)))
        yield (
            f"| {MANY} streams at once: failed, memory of `serve` afterwards | 0; ≤ 60 MB |"
            f" {held.failed}; {served.process.memory} |"
        )


def _cost(port: int, process: Process, wish: Wish) -> float:
    before = process.cpu()
    found = asyncio.run(read(port, wish))
    assert not found.failed, found.failed
    return (process.cpu() - before) / len(found.late)


def _median(port: int, wish: Wish) -> float:
    return statistics.median(asyncio.run(read(port, wish)).late)
