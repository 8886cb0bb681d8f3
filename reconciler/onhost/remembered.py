"""What took long to find out, and holds as long as the key stays the same."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")


class Remembered(Generic[Found]):
    """Findings by their keys, for all threads; of too many, the oldest is forgotten."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[Hashable, Found] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, find: Callable[[], Found]) -> Found:
        """Look up what is known under a key, or find it out."""
        with self._lock:
            if key in self._known:
                return self._known[key]
        # Without the lock: to read one model takes long, and no other request should wait for it.
        found = find()
        self._remember(key, found)
        return found

    def _remember(self, key: Hashable, found: Found) -> None:
        with self._lock:
            while len(self._known) >= self._limit:
                self._known.pop(next(iter(self._known)))
            self._known[key] = found
