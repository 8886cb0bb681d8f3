"""A journal in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from reconciler.model.records import SEEN_AGAIN, Record, Row

if TYPE_CHECKING:
    from reconciler.ports import Clock


class MemoryJournal:
    """Keep rows in a list, which outlives whoever writes to it."""

    def __init__(self, clock: Clock) -> None:
        self._rows: list[Row] = []
        self._clock = clock

    def copied(self, clock: Clock) -> MemoryJournal:
        """Return a journal of its own with the same rows, that tells time by `clock`."""
        twin = MemoryJournal(clock)
        twin._rows = list(self._rows)
        return twin

    def cut_power(self) -> None:
        """Lose what a power cut may take: the newest rows that will be seen again."""
        while self._rows and isinstance(self._rows[-1].record, SEEN_AGAIN):
            self._rows.pop()

    def rows(self) -> Sequence[Row]:
        """Return all rows, oldest first."""
        return tuple(self._rows)

    def since(self, after: int) -> Iterator[Row]:
        """Yield the rows after a number, oldest first."""
        return iter(self._rows[after:])

    def newest(self) -> int:
        """Return the number of the newest row."""
        return len(self._rows)

    def append(self, record: Record) -> Row:
        """Write one record."""
        row = Row(seq=len(self._rows) + 1, when=self._clock.instant(), record=record)
        self._rows.append(row)
        return row
