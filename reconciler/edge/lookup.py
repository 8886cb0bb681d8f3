"""Lookup: an event loop in which names are looked up aside.

The one of Python has a few threads for all names, and waits for them in the end: a name server that
is silent about one host would hold up the names of all others, and the end of the command.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Addresses: TypeAlias = list[Any]


class Lookups:
    """Names that are looked up, each in its own thread, which no end waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._under_way: dict[object, asyncio.Future[Addresses]] = {}

    async def addresses(
        self, host: bytes | str | None, port: bytes | str | int | None, **how: int
    ) -> Addresses:
        """Look a name up; the same question while it is under way gets the same answer.

        Raise OSError, ValueError or OverflowError.
        """
        asked = (host, port, *sorted(how.items()))
        if asked not in self._under_way:
            self._begin(asked, partial(socket.getaddrinfo, host, port, **how))
        return await asyncio.shield(self._under_way[asked])

    def _begin(self, asked: object, look: Callable[[], Addresses]) -> None:
        answer = self._loop.create_future()

        def work() -> None:
            settle = _looked_up(look, answer)
            # The loop may be closed by now.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(settle)

        self._under_way[asked] = answer
        answer.add_done_callback(partial(self._ended, asked))
        Thread(target=work, name="reconciler lookup", daemon=True).start()

    def _ended(self, asked: object, answer: asyncio.Future[Addresses]) -> None:
        del self._under_way[asked]
        # All that asked may have given up; asyncio would then report a failure that none retrieved.
        answer.exception()


class LookupLoop(asyncio.SelectorEventLoop):
    """The loop of Python."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups = Lookups(self)

    async def getaddrinfo(
        self, host: bytes | str | None, port: bytes | str | int | None, **how: int
    ) -> Addresses:
        """Look a name up aside."""
        return await self._lookups.addresses(host, port, **how)


def _looked_up(
    look: Callable[[], Addresses], answer: asyncio.Future[Addresses]
) -> Callable[[], None]:
    try:
        return partial(answer.set_result, look())
    except (OSError, ValueError, OverflowError) as error:
        return partial(answer.set_exception, error)
