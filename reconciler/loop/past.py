"""Past: what the journal says of every host, folded as far as it was read; only new rows are folded again."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.core.recovery import Hints, fold
from reconciler.model.records import Row
from reconciler.ports import Journal


class Past:
    """Remember what a journal says. Rows that it forgets meanwhile are restated in it, so what was folded stays so."""

    def __init__(self, journal: Journal) -> None:
        """Read nothing yet."""
        self.journal = journal
        self._known: dict[str, Hints] = {}
        self._read = 0

    def hints(self, host: str) -> Hints:
        """Return what is known of a host now; raise JournalDamaged or DurabilityError."""
        read = self._read

        def newer() -> Iterator[Row]:
            nonlocal read
            for row in self.journal.since(self._read):
                yield row
                read = row.seq

        self._known = fold(newer(), self._known)
        self._read = read
        return self._known.get(host, Hints())
