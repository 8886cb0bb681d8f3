"""Waiting, inside the daemon, for whatever may become true when something changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Bell:
    """Rings at every change, so that nobody has to look again and again."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Have everyone who waits look again."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def until(self, condition: Callable[[], bool], within: float | None = None) -> bool:
        """Wait until the condition is true, or the time is over, and return whether it is true."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not condition():
                    await self._rung.wait()
        return condition()
