"""Files that change when somebody says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.model.target import Wanted


class FakeEdits:
    """Be followed, and tell what was written at once."""

    def __init__(self, now: Wanted | str) -> None:
        """Begin with what the files ask for, or with why they cannot be used."""
        self.now = now
        self._tell: Callable[[Wanted | str], None] = lambda _: None

    async def follow(self, tell: Callable[[Wanted | str], None]) -> None:
        """Tell what is written, until cancelled."""
        self._tell = tell
        tell(self.now)
        await anyio.sleep_forever()

    def write(self, now: Wanted | str) -> None:
        """Change the files."""
        self.now = now
        self._tell(now)

    def look(self) -> None:
        """Tell again."""
        self._tell(self.now)
