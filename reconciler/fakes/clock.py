"""A clock that stands still while a task is busy, and jumps to a deadline when all of them wait."""

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
    """The clock of a world, in seconds.

    `now` is its boot clock, `ahead` how far its wall clock was moved.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.ahead = 0.0

    def wall(self) -> float:
        """Read the wall clock, in seconds since the epoch."""
        return EPOCH + self.now + self.ahead

    def boot(self) -> float:
        """Count the seconds since this world began."""
        return self.now

    def instant(self) -> Instant:
        """Read both clocks; a world has a single boot."""
        return Instant(at=self.wall(), boot_id="boot", boot=self.now)

    async def sleep(self, seconds: float) -> None:
        """Wait until this clock says so."""
        await anyio.sleep(seconds)

    def run(self, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """Run an async function in no time: its every wait and deadline goes by this clock."""
        return anyio.run(function, *args, backend_options={"loop_factory": self.loop})

    def loop(self) -> asyncio.AbstractEventLoop:
        """Make an event loop in the time of this clock."""
        return _Loop(self)


class _Waiting(DefaultSelector):
    """A selector that turns the clock instead of waiting."""

    def __init__(self, clock: TurnedClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        # Without a deadline a test would hang here for ever.
        if timeout is None:
            raise RuntimeError("every task waits, and nothing is left that could happen")
        self._clock.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop in the time of a clock."""

    def __init__(self, clock: TurnedClock) -> None:
        self._turned: Any = clock
        super().__init__(_Waiting(clock))

    def time(self) -> float:
        """Read the clock."""
        now: float = self._turned.now
        return now
