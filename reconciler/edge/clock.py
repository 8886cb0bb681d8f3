"""The real clock."""

from __future__ import annotations

import time

import anyio


class SystemClock:
    """Tell the machine's time."""

    def wall(self) -> float:
        """Return wall clock seconds since the epoch."""
        return time.time()

    def boot(self) -> float:
        """Return seconds since boot, suspended time included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)
