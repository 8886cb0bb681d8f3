"""Contained: what breaks while one verb is carried out ends that verb alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from reconciler.loop.unforeseen import unforeseen
from reconciler.ports import Keep

Answer = TypeVar("Answer")


async def contained(keep: Keep, work: Awaitable[Answer]) -> Answer:
    """Do it; raise Unexpected, with the file of its traceback, for what was not foreseen."""
    with unforeseen(keep):
        return await work


async def each_contained(keep: Keep, parts: AsyncIterator[Answer]) -> AsyncIterator[Answer]:
    """Yield each of what comes one after the other; raise as `contained`."""
    with unforeseen(keep):
        async for part in parts:
            yield part
