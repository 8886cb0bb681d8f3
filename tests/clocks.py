"""Clocks that tests turn by hand."""

from __future__ import annotations


class StoppedClock:
    """Stand still until somebody moves it; sleeping moves it at once."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def wall(self) -> float:
        return self.now

    def boot(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
