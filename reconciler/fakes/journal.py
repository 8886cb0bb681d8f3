"""A journal in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from reconciler.model.records import SEEN_AGAIN, Record, Row

if TYPE_CHECKING:
    from reconciler.ports import Clock


class MemoryJournal:
    """A list of rows that outlives its writers."""

    def __init__(self, clock: Clock) -> None:
        self._rows: list[Row] = []
        self._clock = clock

    def copied(self, clock: Clock) -> MemoryJournal:
        """Make a journal with the same rows, on another clock."""
        twin = MemoryJournal(clock)
        twin._rows = list(self._rows)
        return twin

    def cut_power(self) -> None:
        """Lose what a power cut may take: the newest rows that will be seen again."""
        while self._rows and isinstance(self._rows[-1].record, SEEN_AGAIN):
            self._rows.pop()

    def rows(self) -> Sequence[Row]:
        """Read all rows, oldest first."""
        return tuple(self._rows)

    def since(self, after: int) -> Iterator[Row]:
        """Yield the rows after a number, oldest first."""
        return iter(self._rows[after:])

    def newest(self) -> int:
        """Look up the number of the newest row."""
        return len(self._rows)

    def append(self, record: Record) -> Row:
        """Write one record."""
        number, now = len(self._rows) + 1, self._clock.instant()
        row = Row(seq=number, when=now, record=record)
        self._rows.append(row)
        return row

    def check_room(self) -> None:
        """Find room: there always is here."""

    def reopen(self) -> None:
        """Write on: no write fails here."""
