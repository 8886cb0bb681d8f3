"""Hints cache: what the journal says of every host, folded as far as it was read.

Only new rows are folded again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import reduce

from reconciler.core.recovery import Hints, after
from reconciler.errors import DurabilityError
from reconciler.model.records import Row
from reconciler.ports import Journal, JournalReader


class HintsRead:
    """What a journal says, remembered.

    Rows that it forgets meanwhile are restated in it, so what was folded stays so.
    """

    def __init__(self, journal: JournalReader) -> None:
        self._journal = journal
        self._known: dict[str, Hints] = {}
        self._new: dict[str, list[Row]] = {}
        self._read: int | None = None
        self.newest_at = 0.0
        """When the newest row that was read was written, in seconds of the wall clock."""

    async def hints(self, host: str) -> Hints:
        """What is known of a host now; raise JournalDamaged or DurabilityError."""
        await self.newest()
        return replace(self._folded(host), newest_at=self.newest_at)

    async def newest(self) -> int:
        """Read what is new, and tell the number of the newest row; raise as `hints` does."""
        if self._read is None or await self._journal.newest() != self._read:
            await self._catch_up()
        return self._read or 0

    def _folded(self, host: str) -> Hints:
        # Each host's rows are folded for it alone: what cannot be folded is the trouble of its
        # host (ADR 0015).
        known = self._known.get(host, Hints())
        self._known[host] = reduce(after, self._new.get(host, ()), known)
        self._new.pop(host, None)
        return self._known[host]

    async def _catch_up(self) -> None:
        async for part in self._journal.parts(self._read or 0):
            # Another host may have caught up while this one waited for the rows.
            for row in (one for one in part if one.seq > (self._read or 0)):
                self._new.setdefault(row.record.host, []).append(row)
                self._read, self.newest_at = row.seq, row.at
            for host in tuple(self._new):
                # Part by part, so that nothing waits for long; what fails is told who asks for it.
                with suppress(Exception):
                    self._folded(host)
        self._read = self._read or 0


class HintsCache(HintsRead):
    """The same of a journal that can be added to."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.journal = journal

    async def write_on(self) -> None:
        """Let the journal be written again after a write that failed, if that may be by now."""
        # Where it may not, the next write says why.
        with suppress(DurabilityError):
            await self.journal.reopen()
