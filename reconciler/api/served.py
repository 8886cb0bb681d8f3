"""Served: what verbs are given where they are asked over the API of a running `serve`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from reconciler.edge.key_file import KeyFile
from reconciler.errors import LockHeld
from reconciler.model.controller import Controller
from reconciler.model.names import Value
from reconciler.model.spec import Slice
from reconciler.ports import (
    Clock,
    Doors,
    EditableSource,
    HostPorts,
    HostReaders,
    Journal,
    Keep,
    Lock,
)
from reconciler.verbs.context import Actor, Metered, Remembered
from reconciler.verbs.metrics import Meter
from reconciler.verbs.result import Outcome


class ApiApp(Actor, Metered, Protocol):
    """What the API is made of."""

    @property
    def source(self) -> EditableSource:
        """Both files."""

    @property
    def keys(self) -> KeyFile:
        """The keys of the gateway."""


class HeldHere:
    """The lock of this process, whose watch alone acts."""

    @contextmanager
    def held(self, *, obeys: bool = False) -> Iterator[None]:
        """Raise LockHeld: nothing else takes it."""
        _ = obeys
        raise LockHeld("this process acts on this data directory", obeys=True)
        yield


HELD_HERE = HeldHere()


@dataclass(frozen=True)
class Served:
    """The ports of this machine, and of each host with the gate that this process has for it."""

    app: ApiApp
    doors: Doors
    meter: Meter
    known: Remembered
    """Kept: to read and fold all rows again for each answer would hold up what is carried."""

    begun: set[asyncio.Future[Outcome[Value]]] = field(default_factory=set)
    """What goes on by itself: of such a task asyncio keeps no more than a weak word."""

    @property
    def source(self) -> EditableSource:
        """Both files."""
        return self.app.source

    @property
    def keys(self) -> KeyFile:
        """The keys of the gateway."""
        return self.app.keys

    @property
    def journal(self) -> Journal:
        """Where things are recorded."""
        return self.app.journal

    @property
    def lock(self) -> Lock:
        """What guards acting: whoever acts here asks the watch, also while this process ends."""
        return HELD_HERE

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self.app.clock

    @property
    def controller(self) -> Controller:
        """Who we are."""
        return self.app.controller

    @property
    def keep(self) -> Keep:
        """What keeps the tracebacks of what was not foreseen."""
        return self.app.keep

    def remembered(self) -> Remembered:
        """What the journal says of each host."""
        return self.known

    def readers(self, slice_: Slice) -> HostReaders:
        """What can be asked about a host, its gate too."""
        return self.ports(slice_)

    def ports(self, slice_: Slice) -> HostPorts:
        """What can be asked of a host and done to it, its gate too."""
        return replace(self.app.ports(slice_), gate=self.doors.gate(slice_.host.name))
