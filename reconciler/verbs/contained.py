"""Contained: what breaks while one verb is carried out ends that verb alone."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from reconciler.loop.unforeseen import unforeseen
from reconciler.ports import Keep

Answer = TypeVar("Answer")


async def contained(keep: Keep, work: Awaitable[Answer]) -> Answer:
    """Do it; raise Unexpected, with the file of its traceback, for what was not foreseen."""
    with unforeseen(keep):
        return await work
