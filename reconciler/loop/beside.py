"""Beside: something that is watched while something else is done, and ends with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def beside(watch: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Watch for as long as the context lasts; what is raised inside comes out as it is."""
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            yield
            group.cancel_scope.cancel()
    except BaseExceptionGroup as found:
        raise found.exceptions[0] from found
