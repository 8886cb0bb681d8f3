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


class LookupLoop(asyncio.SelectorEventLoop):
    """Look up each name in a thread of its own, which nobody waits for in the end."""

    def __init__(self) -> None:
        super().__init__()
        self._under_way: dict[object, asyncio.Future[Addresses]] = {}

    async def getaddrinfo(
        self, host: bytes | str | None, port: bytes | str | int | None, **how: int
    ) -> Addresses:
        """Return the addresses of a name; who asks for the same one meanwhile gets the same answer.

        Raise OSError, ValueError or OverflowError.
        """
        asked = (host, port, *sorted(how.items()))
        if asked not in self._under_way:
            self._begin(asked, partial(socket.getaddrinfo, host, port, **how))
        return await asyncio.shield(self._under_way[asked])

    def _begin(self, asked: object, look: Callable[[], Addresses]) -> None:
        answer = self.create_future()

        def work() -> None:
            try:
                settle = partial(answer.set_result, look())
            except (OSError, ValueError, OverflowError) as error:
                settle = partial(answer.set_exception, error)
            # It may have ended by now.
            with suppress(RuntimeError):
                self.call_soon_threadsafe(settle)

        self._under_way[asked] = answer
        answer.add_done_callback(partial(self._ended, asked))
        Thread(target=work, name="reconciler lookup", daemon=True).start()

    def _ended(self, asked: object, answer: asyncio.Future[Addresses]) -> None:
        del self._under_way[asked]
        # Where nobody waits any more, nobody is to be told that it failed.
        answer.exception()
