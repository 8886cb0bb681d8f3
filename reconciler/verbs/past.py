"""Past: the runs that a journal tells of, read a few rows at a time."""

from __future__ import annotations

from typing import Any

from reconciler.core.projection import RunHistory
from reconciler.ports import JournalReader


async def told(journal: JournalReader) -> list[dict[str, Any]]:
    """Tell every run, oldest first; raise JournalDamaged or DurabilityError."""
    runs = RunHistory()
    async for part in journal.parts(0):
        for row in part:
            runs.take(row)
    return runs.told()
