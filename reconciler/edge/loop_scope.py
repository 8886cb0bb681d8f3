"""Tasks and things that live as long as an event loop, and serve all of its work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio

from reconciler.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable
    from types import TracebackType

    from anyio.abc import TaskGroup

Thing = TypeVar("Thing")


def report_unretrieved(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Let asyncio report what was never retrieved, except a pipe whose reader left."""
    # The writer was told already. Older Pythons, such as that of Debian 12, 3.11.2, print a
    # traceback for each program that ends while it is written to.
    if not isinstance(context.get("exception"), BrokenPipeError):
        loop.default_exception_handler(context)


class LoopScope:
    """A scope that is entered once in every event loop; cheap where nothing is asked of it."""

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._things: dict[Hashable, Any] = {}

    async def __aenter__(self) -> Self:
        """Let tasks begin."""
        asyncio.get_running_loop().set_exception_handler(report_unretrieved)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all tasks."""
        group, self._group = self._group, None
        if group is not None:
            group.cancel_scope.cancel()
            # Without the error: the group would wrap it, and callers tell errors by their type.
            await group.__aexit__(None, None, None)

    def start(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Let a task run until it ends or the loop does; raise DriverError outside of a loop."""
        if self._group is None:
            raise DriverError("nothing is reached any more: this command is ending")
        self._group.start_soon(task)

    def one(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """Find the thing of a key, or make it when it is first asked for."""
        if key not in self._things:
            self._things[key] = make()
        thing: Thing = self._things[key]
        return thing
