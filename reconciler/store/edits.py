"""Edits: notice what becomes of both files, and read them as one pair once they stand still.

The folders are watched, not the files: editors and git replace a file by rename. Where no event comes (a network file
system, a folder that was itself replaced) a look at times and sizes finds the change a little later.
"""

from __future__ import annotations

import os
import time
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.lowlevel
import anyio.to_thread
from watchfiles import awatch

from reconciler.errors import ConfigError
from reconciler.store import git

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    from reconciler.model.target import Wanted
    from reconciler.store.source import FileSource

STANDS_STILL_SECONDS = 0.02
LONGEST_STILL_SECONDS = 1.0
STORM_SECONDS = 0.5
"""A pair that is read again so soon must stand still for twice as long as before: a storm of saves is one edit."""

COMPLAINT_SECONDS = 1.0
"""How long a pair that cannot be used must stand before it is worth a word."""

BACKSTOP_SECONDS = 2.0
ANEW_SECONDS = 0.5
HALF_WAY_SECONDS = 0.1
STEP_MILLISECONDS = 40
"""How often the watching library looks for events: more often costs more at rest."""

LONGEST_BURST_MILLISECONDS = 200


class Print(NamedTuple):
    """Tell two states of files apart: device, inode, size and times of each; and when one of the pair changed last."""

    files: dict[str, tuple[int, ...]]
    newest: float


class FileEdits:
    """Follow both files of a source, and what git says of them."""

    def __init__(self, source: FileSource, journal: Path) -> None:
        """Follow what `source` reads, and the folder of the journal."""
        self._source, self._journal = source, journal
        self._stirred = anyio.Event()
        self._again = False
        self._still_seconds = STANDS_STILL_SECONDS
        self._read_at = -STORM_SECONDS
        self._places = self._named()
        self._traces = git.traces(source.directory)

    def look(self) -> None:
        """Read the files again now, changed or not."""
        self._again = True
        self._stirred.set()

    async def follow(self, tell: Callable[[Wanted | str], None], stir: Callable[[], None]) -> None:
        """Tell what the files ask for, now and whenever that changes, or why they cannot be used, until cancelled.

        `stir` is called whenever something happened in a folder that is watched, or nothing for a while.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch_folders, stir)
            read: Print | None = None
            while True:
                self._stirred = anyio.Event()
                now = await self._still(tell)
                if now != read or self._again:
                    self._again = False
                    read = await self._read(now, tell)
                await self._stirred.wait()

    async def _read(self, now: Print, tell: Callable[[Wanted | str], None]) -> Print | None:
        """Read the pair and tell; return the print it had, None when it must be looked at again."""
        self._places, self._traces = self._named(), git.traces(self._source.directory)
        half_way = git.half_way(self._source.directory)
        if half_way:
            if await self._stands(now):
                tell(f"waiting: {half_way}")
                await anyio.sleep(HALF_WAY_SECONDS)
            return None
        try:
            wanted = await anyio.to_thread.run_sync(self._source.read)
        except ConfigError as error:
            if not await self._stands(now):
                return None
            tell(f"{error.reason}: {error.message}")
        else:
            self._grow_patient()
            tell(wanted)
        return now

    def _grow_patient(self) -> None:
        now = time.monotonic()
        soon = now - self._read_at < STORM_SECONDS
        self._still_seconds = min(2 * self._still_seconds, LONGEST_STILL_SECONDS) if soon else STANDS_STILL_SECONDS
        self._read_at = now

    async def _stands(self, now: Print) -> bool:
        """Return whether nothing changes for a while."""
        with anyio.move_on_after(COMPLAINT_SECONDS):
            while self._print() == now and not self._again:
                await self._stirred.wait()
                self._stirred = anyio.Event()
            return False
        # A frame that a cancellation passed through is not traced, and so not shown to be tested, before its next turn.
        await anyio.lowlevel.checkpoint()
        return True

    async def _still(self, tell: Callable[[Wanted | str], None]) -> Print:
        """Return the print of the files once they have not changed for a moment; tell when that takes long."""
        began, said = time.monotonic(), False
        while True:
            seen = self._print()
            age = time.time() - seen.newest
            if not 0 <= age < self._still_seconds:
                return seen
            if time.monotonic() - began > LONGEST_STILL_SECONDS and not said:
                said = True
                tell(
                    f"waiting: somebody keeps writing the files in {self._source.directory}; they are read once they stand still"
                )
            await anyio.sleep(self._still_seconds - age)

    def _print(self) -> Print:
        files = {str(path): _stat(path) for path in self._source.paths}
        # Where git has none of the files yet, it may have them by now; else those that it changes stay where they are.
        traces = {str(path): _stat(path) for path in self._traces or git.traces(self._source.directory)}
        changed = [seen[-1] / 1e9 for seen in files.values() if seen]
        return Print(files | traces, max(changed, default=0.0))

    async def _watch_folders(self, stir: Callable[[], None]) -> None:
        """Stir at every event in the folders, and when none comes for a while; begin anew when one of them is replaced."""
        while True:
            folders = self._folders()
            # What cannot be watched, such as a folder that vanishes or one too many for the kernel, is only looked at.
            with suppress(OSError, RuntimeError):
                async with aclosing(self._events(folders)) as events:
                    while folders == self._folders():
                        await anext(events)
                        self._stir(stir)
            await anyio.sleep(ANEW_SECONDS)
            self._stir(stir)

    def _events(self, folders: Iterable[Path]) -> AsyncGenerator[object, None]:
        return awatch(
            *folders, step=STEP_MILLISECONDS, debounce=LONGEST_BURST_MILLISECONDS, watch_filter=None, recursive=False,
            rust_timeout=int(BACKSTOP_SECONDS * 1000), yield_on_timeout=True,
        )  # fmt: skip

    def _stir(self, stir: Callable[[], None]) -> None:
        self._stirred.set()
        stir()

    def _folders(self) -> dict[Path, tuple[int, ...]]:
        """Return the folders where something may happen that are there, and which they are."""
        return {folder: seen[:2] for folder in self._places if (seen := _stat(folder))}

    def _named(self) -> tuple[Path, ...]:
        """Return the folders where something may happen: of the files, of what they link to, git's, the journal's."""
        of_files = {self._source.directory, *(Path(os.path.realpath(path)).parent for path in self._source.paths)}
        of_git = {path.parent for path in git.traces(self._source.directory)}
        return tuple(sorted(of_files | of_git | {self._journal}))


def _stat(path: Path) -> tuple[int, ...]:
    try:
        seen = path.stat()
    except OSError:
        return ()
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
