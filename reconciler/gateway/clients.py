"""Clients: the open connections, and how long each may be silent or slow."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from typing import Protocol

import anyio

from reconciler.edge import heap
from reconciler.gateway.counts import Counts

SWEEP_SECONDS = 1.0
MOST_CLIENTS = 4096
SHARES = 3
"""Of the files that this process may open, one for clients, one for engines, one for all else."""

MOST_OF_ONE_ADDRESS = 512
"""Connections from one address of another machine; those of this one come for many, as a proxy."""

MOST_BODIES = 256 * 1024 * 1024
"""Bytes of all bodies that are held at once."""


class Watched(Protocol):
    """An open connection of a client."""

    @property
    def address(self) -> str:
        """The address of another machine from which it comes, "" for this one."""
        ...

    def sweep(self, now: float) -> None:
        """End it if it was silent or slow for too long; `now` is the loop's time."""

    def leave(self) -> None:
        """Close it as soon as nothing is owed on it."""

    def cut(self) -> None:
        """End it now, with an error where an answer is under way."""


class Clients:
    """All open connections; one timer watches over them, and rests while there are none."""

    def __init__(self, counts: Counts) -> None:
        """Count by `counts` what becomes of their requests, and how late the event loop is."""
        self.counts = counts
        self._open: set[Watched] = set()
        self._of_address = Counter[str]()
        self._most = _most_clients()
        self._timer: asyncio.TimerHandle | None = None
        self._gone = anyio.Event()
        self.is_leaving = False
        self.bodies = 0
        """How many bytes of bodies are held."""

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    @property
    def is_laden(self) -> bool:
        """Whether no more of any body is taken."""
        return self.bodies > MOST_BODIES

    def has_room(self, address: str) -> bool:
        """Whether one more is taken from an address."""
        is_crowded = self._of_address[address] >= MOST_OF_ONE_ADDRESS
        return self.count < self._most and not (address and is_crowded)

    def opened(self, connection: Watched) -> None:
        """Take a connection."""
        self._open.add(connection)
        self._of_address[connection.address] += 1
        if self._timer is None:
            self._watch()

    def closed(self, connection: Watched) -> None:
        """Let a connection go."""
        if connection in self._open:
            self._open.remove(connection)
            self._of_address -= Counter([connection.address])
        self._gone.set()

    def leave(self) -> None:
        """Close each as soon as nothing is owed on it: this process ends."""
        self.is_leaving = True
        for one in tuple(self._open):
            one.leave()

    async def all_gone(self) -> None:
        """Wait until none is open."""
        while self._open:
            self._gone = anyio.Event()
            await self._gone.wait()

    def cut(self) -> None:
        """End them all."""
        for one in tuple(self._open):
            one.cut()

    def sweep(self, later: float = 0.0) -> None:
        """End what was silent or slow for too long; `later` adds seconds to the loop's time."""
        now = asyncio.get_running_loop().time() + later
        for one in tuple(self._open):
            one.sweep(now)

    def _watch(self) -> None:
        # One timer for all: a thousand of them cost more than a look at a thousand connections.
        self.sweep()
        self._look_again()

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + SWEEP_SECONDS
        self._timer = loop.call_at(self._due, self._late) if self._open else None

    def _late(self) -> None:
        self.counts.lagged(asyncio.get_running_loop().time() - self._due)
        # Bodies that were let go of would stay in memory until others need the room.
        heap.trim()
        self._watch()


def _most_clients() -> int:
    # Whoever took the last file would leave none to ask an engine, or to look at a host.
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CLIENTS if files == resource.RLIM_INFINITY else min(MOST_CLIENTS, files // SHARES)
