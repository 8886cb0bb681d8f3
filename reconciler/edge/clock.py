"""The real clock."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import anyio

from reconciler.model.records import Instant

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """Tell the machine's time."""

    def wall(self) -> float:
        """Return wall clock seconds since the epoch."""
        return time.time()

    def boot(self) -> float:
        """Return seconds since boot, suspended time included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def instant(self) -> Instant:
        """Return now, by both clocks, and in which boot."""
        return Instant(at=self.wall(), boot_id=_boot_id(), boot=self.boot())

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)


@cache
def _boot_id() -> str:
    """Return which boot this is, which never changes while anybody runs."""
    return BOOT_ID.read_text().strip()
