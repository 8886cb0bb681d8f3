"""The real clock."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import anyio

from reconciler.model.records import Instant

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The clocks of this machine."""

    def wall(self) -> float:
        """Read the wall clock, in seconds since the epoch."""
        return time.time()

    def boot(self) -> float:
        """Count the seconds since boot, suspended time included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def instant(self) -> Instant:
        """Read both clocks, and which boot this is."""
        return Instant(at=self.wall(), boot_id=_boot_id(), boot=self.boot())

    async def sleep(self, seconds: float) -> None:
        """Wait, asynchronously."""
        await anyio.sleep(seconds)


@cache
def _boot_id() -> str:
    # Cached, because no process outlives its boot.
    return BOOT_ID.read_text().strip()
