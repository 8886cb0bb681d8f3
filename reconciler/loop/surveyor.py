"""Surveyor: what a survey looks and remembers through, apart from what it costs to import one."""

from __future__ import annotations

from typing import Protocol

from reconciler.loop.hints_cache import HintsRead
from reconciler.model.controller import Controller
from reconciler.model.spec import Slice
from reconciler.ports import Clock, HostReaders, JournalReader, Keep


class Surveyor(Protocol):
    """What a survey looks and remembers through: readers only."""

    @property
    def journal(self) -> JournalReader:
        """What was recorded."""

    @property
    def clock(self) -> Clock:
        """The clock."""

    @property
    def controller(self) -> Controller:
        """Who we are."""

    @property
    def keep(self) -> Keep:
        """What keeps the tracebacks of what was not foreseen."""

    def remembered(self) -> HintsRead:
        """What the journal says of each host, read when that is asked."""

    def readers(self, slice_: Slice) -> HostReaders:
        """What can be asked about a host."""
