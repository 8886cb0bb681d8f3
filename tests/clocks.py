"""Clocks that tests turn by hand, or that run ahead."""

from __future__ import annotations

from reconciler.edge.clock import SystemClock
from reconciler.model.records import Instant


def instant(at: float) -> Instant:
    """Return a moment of a machine whose clocks were never moved."""
    return Instant(at=at, boot_id="boot", boot=at)


class StoppedClock:
    """Stand still until somebody moves it; sleeping moves it at once."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def wall(self) -> float:
        return self.now

    def boot(self) -> float:
        return self.now

    def instant(self) -> Instant:
        return instant(self.now)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class HurriedClock(SystemClock):
    """A clock whose durations pass so many times faster; its wall clock is the real one."""

    def __init__(self, times: float) -> None:
        self.times = times

    def boot(self) -> float:
        return super().boot() * self.times

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / self.times)
