"""A clock that stands still while anybody is busy, and jumps to the next deadline when everybody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from selectors import DefaultSelector, SelectorKey
from typing import Any, TypeVar

import anyio

from reconciler.model.records import Instant

T = TypeVar("T")

EPOCH = 1_800_000_000.0


class TurnedClock:
    """Tell the time of a world of its own.

    `now` is its boot clock, `ahead` how far its wall clock was moved. Seconds.
    """

    def __init__(self, now: float = 1000.0) -> None:
        """Start at `now`."""
        self.now = now
        self.ahead = 0.0

    def wall(self) -> float:
        """Return wall clock seconds since the epoch."""
        return EPOCH + self.now + self.ahead

    def boot(self) -> float:
        """Return seconds since this world began."""
        return self.now

    def instant(self) -> Instant:
        """Return now, by both clocks of the one boot that this world has."""
        return Instant(at=self.wall(), boot_id="boot", boot=self.now)

    async def sleep(self, seconds: float) -> None:
        """Wait until this clock says so."""
        await anyio.sleep(seconds)

    def run(self, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """Run an async function whose every wait and deadline is told by this clock, in no time."""
        return anyio.run(function, *args, backend_options={"loop_factory": self.loop})

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop in the time of this clock."""
        return _Loop(self)


class _Waiting(DefaultSelector):
    """Turn the clock instead of waiting."""

    def __init__(self, clock: TurnedClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing is left that could happen")
        self._clock.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop in the time of a clock."""

    def __init__(self, clock: TurnedClock) -> None:
        self._turned: Any = clock
        super().__init__(_Waiting(clock))

    def time(self) -> float:
        """Return the clock's time."""
        now: float = self._turned.now
        return now
