"""Past: what the journal says of every host, folded as far as it was read; only new rows are folded again."""

from __future__ import annotations

from reconciler.core.recovery import Hints, fold
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
        rows = self.journal.rows()
        newest = rows[-1].seq if rows else 0
        if newest != self._read:
            first = max(0, self._read + 1 - rows[0].seq) if rows else 0
            self._known = fold(rows[first:], self._known)
            self._read = newest
        return self._known.get(host, Hints())
