"""Edits of files that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reconciler.model.target import Wanted


STIR_SECONDS = 0.25
"""How often a watch looks for rows that others wrote, where its real one is told at once."""


class FakeEdits:
    """Files that a watch may follow; it is told at once of what is written.

    They are what they ask for, or why they cannot be used. `stir_seconds` may be longer where
    nobody else writes rows.
    """

    def __init__(self, now: Wanted | str) -> None:
        self.now, self.stir_seconds = now, STIR_SECONDS
        self._tell: Callable[[Wanted | str], None] = lambda _: None

    async def follow(
        self, tell: Callable[[Wanted | str], None], stir: Callable[[], Awaitable[None]]
    ) -> None:
        """Tell what is written, and stir now and then, until cancelled."""
        self._tell = tell
        tell(self.now)
        while True:
            await anyio.sleep(self.stir_seconds)
            await stir()

    def write(self, now: Wanted | str) -> None:
        """Change the files."""
        self.now = now
        self._tell(now)

    def look(self) -> None:
        """Tell again."""
        self._tell(self.now)
