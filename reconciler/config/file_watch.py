"""File watch: notice what becomes of both files, and read them as one pair once they stand still.

The folders are watched, not the files: editors and git replace a file by rename. Where no event
comes (a network file system, a folder that was itself replaced) a look at times and sizes finds the
change a little later. A file that holds what it held is no change, though it was touched; one that
never stands still is read all the same, within LATEST_SECONDS (ADR 0019).
"""

from __future__ import annotations

import os
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.lowlevel
import anyio.to_thread
from watchfiles import awatch

from reconciler.config import git
from reconciler.config.source import content_of, pair_digest
from reconciler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

    from reconciler.config.source import FileSource
    from reconciler.model.target import Wanted

STANDS_STILL_SECONDS = 0.02
STORM_SECONDS = 0.5
"""A pair that is read again so soon must stand still for twice as long as before: a storm of saves
is one edit."""

PATIENT_SECONDS = 1.4
"""After so long in a storm a moment of stillness is enough: the writing does not end."""

LATEST_SECONDS = 1.7
"""After so long what is there is read, still or not; with the time until an event is heard that
makes two seconds."""

COMPLAINT_SECONDS = 1.0
"""How long a pair that cannot be used must stand before it is worth a word."""

LONGEST_TROUBLE_SECONDS = 3.0
"""How long it may be so under whatever is written meanwhile."""

BACKSTOP_SECONDS = 2.0
"""How long the folders are believed to be quiet without a look at the files themselves."""

REPLACED_SECONDS = 0.5
"""After how long the folders are watched again, where one was replaced or cannot be watched."""

HALF_WAY_SECONDS = 0.1
STEP_MILLISECONDS = 40
"""How often the watching library looks for events: more often costs more at rest."""

LONGEST_BURST_MILLISECONDS = 200


@dataclass(frozen=True)
class FileContent:
    """What a file holds: where it really is, and a digest; nothing when it cannot be read."""

    place: str
    digest: str
    seen: tuple[int, ...] = field(compare=False)
    since: float = field(compare=False)


class Print(NamedTuple):
    """A state of the files: what each of the pair holds, and what git's look like."""

    pair: tuple[FileContent, ...]
    traces: dict[str, tuple[int, ...]]

    @property
    def newest(self) -> float:
        """When one of the pair changed last, in wall clock seconds."""
        return max(content.since for content in self.pair)

    @property
    def digest(self) -> str:
        """The digest of the pair, as FileSource would read it."""
        return pair_digest(content.digest for content in self.pair)

    def is_untouched(self, later: Print) -> bool:
        """Whether none of the files was written in between, not even with what it held."""
        return later == self and later.times == self.times

    @property
    def times(self) -> list[tuple[int, ...]]:
        """What the file system tells of each of the pair."""
        return [content.seen for content in self.pair]


class FileEdits:
    """What becomes of both files of a source, and of what git says of them."""

    def __init__(self, source: FileSource, journal: Path) -> None:
        """Follow what `source` reads, and the folder of the journal."""
        self._source, self._journal = source, journal
        self._stirred = anyio.Event()
        self._again = False
        self._contents: dict[Path, FileContent] = {}
        self._still_seconds = STANDS_STILL_SECONDS
        self._stood_still = True
        self._read_at = -STORM_SECONDS
        self._trouble_since: float | None = None
        self._places = self._named()
        self._traces = git.traces(source.directory)

    def look(self) -> None:
        """Read the files again now, changed or not."""
        self._again = True
        self._stirred.set()

    async def follow(
        self, tell: Callable[[Wanted | str], None], stir: Callable[[], Awaitable[None]]
    ) -> None:
        """Tell what the files ask for, now and whenever that changes, until cancelled.

        Files that cannot be used are told as the reason why. `stir` is called whenever something
        happened in a folder that is watched, or nothing for a while.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch_folders, stir)
            read: Print | None = None
            while True:
                self._stirred = anyio.Event()
                now = await self._still()
                if now != read or self._again:
                    self._again = False
                    read = await self._read(now, tell)
                await self._stirred.wait()

    async def _read(self, now: Print, tell: Callable[[Wanted | str], None]) -> Print | None:
        """Read the pair and tell; return the print it had, None when it must be looked at again."""
        self._places, self._traces = self._named(), git.traces(self._source.directory)
        half_way = git.half_way(self._source.directory)
        if half_way:
            trouble = f"waiting: {half_way}; nothing is read until that has ended"
            if await self._complained(now, tell, trouble):
                await anyio.sleep(HALF_WAY_SECONDS)
            return None
        try:
            wanted = await anyio.to_thread.run_sync(self._source.read)
        except ConfigError as error:
            trouble = f"{error.reason}: {error.message}"
            return now if await self._complained(now, tell, trouble) else None
        self._trouble_since = None
        self._grow_patient()
        tell(wanted)
        # What was there before and after the read need not be what was read.
        return now if wanted.provenance.digest == now.digest else None

    async def _complained(self, now: Print, tell: Callable[[str], None], trouble: str) -> bool:
        """Tell of a trouble, unless it is just the middle of an edit."""
        lasts = await self._lasts(now)
        if lasts:
            tell(trouble)
        return lasts

    def _grow_patient(self) -> None:
        """Ask for more stillness in a storm, and for as much until it is over."""
        now = time.monotonic()
        if now - self._read_at < STORM_SECONDS:
            self._still_seconds = min(2 * self._still_seconds, PATIENT_SECONDS)
        elif self._stood_still:
            self._still_seconds = STANDS_STILL_SECONDS
        self._read_at = now

    async def _lasts(self, now: Print) -> bool:
        """Whether a trouble is worth a word.

        It is when nothing changes for a while, or too much does for too long.
        """
        self._trouble_since = self._trouble_since or time.monotonic()
        stands = await self._stands(now)
        if not stands and time.monotonic() - self._trouble_since < LONGEST_TROUBLE_SECONDS:
            return False
        self._trouble_since = None
        return True

    async def _stands(self, now: Print) -> bool:
        with anyio.move_on_after(COMPLAINT_SECONDS):
            while now.is_untouched(self._print()) and not self._again:
                await self._stirred.wait()
                self._stirred = anyio.Event()
            return False
        # A frame that a cancellation passed through is not traced, and so not shown to be tested,
        # before its next turn.
        await anyio.lowlevel.checkpoint()
        return True

    async def _still(self) -> Print:
        """Wait until the files have not changed for a moment, or that takes too long."""
        began = time.monotonic()
        while True:
            seen, waited = self._print(), time.monotonic() - began
            age = time.time() - seen.newest
            self._stood_still = not 0 <= age < self._still_seconds
            enough = self._still_seconds if waited < PATIENT_SECONDS else STANDS_STILL_SECONDS
            if not 0 <= age < enough or waited >= LATEST_SECONDS:
                return seen
            await anyio.sleep(min(enough - age, LATEST_SECONDS - waited))

    def _print(self) -> Print:
        before = self._contents
        self._contents = {path: _content(path, before.get(path)) for path in self._source.paths}
        # Where git has none of the files yet, it may have them by now; else those that it changes
        # stay where they are.
        traces = self._traces or git.traces(self._source.directory)
        return Print(tuple(self._contents.values()), {str(path): _stat(path) for path in traces})

    async def _watch_folders(self, stir: Callable[[], Awaitable[None]]) -> None:
        """Stir at every event in the folders, and when none comes for a while.

        Begin again when one of them is replaced.
        """
        while True:
            folders = self._folders()
            # What cannot be watched, such as a folder that vanishes or one too many for the kernel,
            # is only looked at.
            with suppress(OSError, RuntimeError):
                async with aclosing(self._events(folders)) as events:
                    while folders == self._folders():
                        await anext(events)
                        await self._stir(stir)
            await anyio.sleep(REPLACED_SECONDS)
            await self._stir(stir)

    def _events(self, folders: Iterable[Path]) -> AsyncGenerator[object, None]:
        # Without a filter: the library's own leaves out what is in a `.git`.
        return awatch(
            *folders,
            step=STEP_MILLISECONDS,
            debounce=LONGEST_BURST_MILLISECONDS,
            watch_filter=None,
            recursive=False,
            rust_timeout=int(BACKSTOP_SECONDS * 1000),
            yield_on_timeout=True,
        )

    async def _stir(self, stir: Callable[[], Awaitable[None]]) -> None:
        self._stirred.set()
        await stir()

    def _folders(self) -> dict[Path, tuple[int, ...]]:
        """List the folders that are there, each with its device and inode."""
        return {folder: seen[:2] for folder in self._places if (seen := _stat(folder))}

    def _named(self) -> tuple[Path, ...]:
        """List the folders in which something may happen, whether they are there or not."""
        of_links = {Path(os.path.realpath(path)).parent for path in self._source.paths}
        of_git = {path.parent for path in git.traces(self._source.directory)}
        return tuple(sorted({self._source.directory, self._journal, *of_links, *of_git}))


def _content(path: Path, before: FileContent | None) -> FileContent:
    """Read what a file holds, unless it is as it was seen before."""
    place, seen = os.path.realpath(path), _stat(path)
    if before is not None and (before.place, before.seen) == (place, seen):
        return before
    digest = _digest(path)
    # A file that was touched, or written with what it held, is as old as it was (ADR 0019).
    if before is not None and (before.place, before.digest) == (place, digest):
        return replace(before, seen=seen)
    return FileContent(place, digest, seen, seen[-1] / 1e9 if seen else 0.0)


def _digest(path: Path) -> str:
    try:
        return sha256(content_of(path)).hexdigest()
    except OSError as error:
        return f"error {error.errno}"


def _stat(path: Path) -> tuple[int, ...]:
    try:
        seen = path.stat()
    except OSError:
        return ()
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
