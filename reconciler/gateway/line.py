"""Line: who waits for a seat; the keys take turns, and of one key the first that came is next."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Protocol

from reconciler.gateway.head import Refusal


class Waiter(Protocol):
    """Who waits for a seat."""

    @property
    def by(self) -> str:
        """The name of its key, "" without one."""
        ...

    @property
    def request(self) -> str:
        """The name of the request that waits."""
        ...

    def admitted(self) -> None:
        """Go on: the seat is open."""

    def turned_away(self, refusal: Refusal) -> None:
        """Give up: the seat will not open."""


class Line:
    """Those who wait, each since when."""

    def __init__(self) -> None:
        self._since = dict[Waiter, float]()
        self._turns = dict[str, int]()
        self._turn = 0

    def __len__(self) -> int:
        return len(self._since)

    def __iter__(self) -> Iterator[Waiter]:
        # Whoever is told something may leave meanwhile.
        return iter(tuple(self._since))

    @property
    def oldest(self) -> float | None:
        """Since when the first waits, None where nobody does."""
        return min(self._since.values(), default=None)

    @property
    def first(self) -> str:
        """The name of the request that has waited longest, "" where none waits."""
        first = min(self._since, key=self._since.__getitem__, default=None)
        return "" if first is None else first.request

    def join(self, waiter: Waiter, since: float, *, is_late: bool) -> None:
        """Take one more; one that `is_late` has waited elsewhere, and has its place by that."""
        self._since[waiter] = since
        if is_late:
            self._since = dict(sorted(self._since.items(), key=itemgetter(1)))

    def leave(self, waiter: Waiter) -> bool:
        """Let one go; whether it was there."""
        return self._since.pop(waiter, None) is not None

    def next(self) -> Waiter:
        """Whose turn it is: of the key that was served least lately, who came first."""
        chosen = min(self._since, key=lambda waiter: self._turns.get(waiter.by, 0))
        self._turn += 1
        self._turns[chosen.by] = self._turn
        return chosen
