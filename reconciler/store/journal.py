"""The journal of this machine, whose file is read and written beside the event loop."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from anyio import CancelScope, CapacityLimiter, current_time, to_thread

from reconciler.model.records import Record, Row
from reconciler.store.journal_file import JournalFile

PART = 250
"""How many rows are read at a time where all may be: about 10 ms of work, for reader and file."""


class SqliteJournal:
    """Rows in one file, awaited: a slow disk holds up what records, and nothing beside it."""

    def __init__(
        self, file: JournalFile, appended: Callable[[float], None] = lambda _: None
    ) -> None:
        """Keep them in `file`, which nothing else in this process may use.

        `appended` is told how many seconds each append took, also one that failed.
        """
        self._file, self._appended = file, appended
        # One call at a time keeps the order of rows, and the connection in one thread at a time
        # (ADR 0020).
        self._turn = CapacityLimiter(1)

    async def since(self, after: int) -> Sequence[Row]:
        """All rows after a number, oldest first.

        Raise JournalDamaged, or DurabilityError when they cannot be read now.
        """
        return await self._read(after, sys.maxsize)

    async def parts(self, after: int) -> AsyncIterator[Sequence[Row]]:
        """All rows after a number, oldest first, a few at a time; raise as `since` does."""
        part = await self._read(after, PART)
        while part:
            yield part
            # Meanwhile others have their turn: a whole journal takes a second, and what stays of
            # that many rows is looked through by the garbage collector, which nothing passes.
            part = await self._read(part[-1].seq, PART) if len(part) == PART else ()

    async def _read(self, after: int, most: int) -> Sequence[Row]:
        read = partial(self._file.since, after, most)
        return await to_thread.run_sync(lambda: tuple(read()), limiter=self._turn)

    async def newest(self) -> int:
        """The number of the newest row, 0 when there is none; raise DurabilityError."""
        return await to_thread.run_sync(self._file.newest, limiter=self._turn)

    async def append(self, record: Record) -> Row:
        """Write one record and return when kill -9 cannot take it.

        Raise as `JournalFile.append` does.
        """
        # What is recorded has happened: a task that is cancelled still records it (ADR 0020).
        with CancelScope(shield=True):
            began = current_time()
            try:
                row = await to_thread.run_sync(self._file.append, record, limiter=self._turn)
            finally:
                self._appended(current_time() - began)
        # Mypy takes a scope for one that may swallow what is raised in it.
        return row

    async def check_room(self) -> None:
        """Find out whether a few rows could be written now; raise WriteFailed."""
        await to_thread.run_sync(self._file.check_room, limiter=self._turn)

    async def reopen(self) -> None:
        """Write on after a write that failed; raise as `JournalFile.reopen` does."""
        await to_thread.run_sync(self._file.reopen, limiter=self._turn)
