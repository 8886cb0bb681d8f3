"""File watch: notice what becomes of both files, and read them as one pair once they stand still.

The folders are watched, not the files: editors and git replace a file by rename. Where no event
comes (a network file system, a folder that was itself replaced) a look at times and sizes finds the
change a little later. A file that holds what it held is no change, whoever touches it; one that
never stands still is read all the same, within LATEST_SECONDS.
"""

from __future__ import annotations

import os
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
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
"""After so long in a storm a moment of stillness is enough: somebody keeps writing."""

LATEST_SECONDS = 1.7
"""After so long what is there is read, still or not; with the time until an event is heard that
makes two seconds."""

COMPLAINT_SECONDS = 1.0
"""How long a pair that cannot be used must stand before it is worth a word."""

LONGEST_TROUBLE_SECONDS = 3.0
"""How long it may be so under whatever is written meanwhile."""

BACKSTOP_SECONDS = 2.0
ANEW_SECONDS = 0.5
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
    """Tell two states of files apart: what each of the pair holds, and what git's look like."""

    pair: tuple[FileContent, ...]
    traces: dict[str, tuple[int, ...]]

    @property
    def newest(self) -> float:
        """When one of the pair changed last, in wall clock seconds."""
        return max(content.since for content in self.pair)

    @property
    def digest(self) -> str:
        """The digest that whoever reads the pair finds."""
        return pair_digest(content.digest for content in self.pair)

    def is_untouched(self, later: Print) -> bool:
        """Return whether nobody wrote any of the files since, not even what they held."""
        return later == self and [one.seen for one in later.pair] == [one.seen for one in self.pair]


class FileEdits:
    """Follow both files of a source, and what git says of them."""

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
        """Tell what the files ask for, now and whenever that changes, or why they cannot be used, until cancelled.

        `stir` is called whenever something happened in a folder that is watched, or nothing for a
        while.
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
            if await self._lasts(now):
                tell(f"waiting: {half_way}; nothing is read until that has ended")
                await anyio.sleep(HALF_WAY_SECONDS)
            return None
        try:
            wanted = await anyio.to_thread.run_sync(self._source.read)
        except ConfigError as error:
            if not await self._lasts(now):
                return None
            tell(f"{error.reason}: {error.message}")
        else:
            self._trouble_since = None
            self._grow_patient()
            tell(wanted)
            # What was there before and after the read need not be what was read.
            return now if wanted.provenance.digest == now.digest else None
        return now

    def _grow_patient(self) -> None:
        """Ask for more stillness in a storm, and for as much until it is over."""
        now = time.monotonic()
        if now - self._read_at < STORM_SECONDS:
            self._still_seconds = min(2 * self._still_seconds, PATIENT_SECONDS)
        elif self._stood_still:
            self._still_seconds = STANDS_STILL_SECONDS
        self._read_at = now

    async def _lasts(self, now: Print) -> bool:
        """Return whether a trouble is worth a word: nothing changes for a while, or too much does for too long."""
        self._trouble_since = self._trouble_since or time.monotonic()
        if (
            not await self._stands(now)
            and time.monotonic() - self._trouble_since < LONGEST_TROUBLE_SECONDS
        ):
            return False
        self._trouble_since = None
        return True

    async def _stands(self, now: Print) -> bool:
        """Return whether nothing changes for a while."""
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
        """Return the print of the files once they have not changed for a moment, or when that takes too long."""
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
        self._contents = {
            path: _content(path, self._contents.get(path)) for path in self._source.paths
        }
        # Where git has none of the files yet, it may have them by now; else those that it changes
        # stay where they are.
        traces = {
            str(path): _stat(path) for path in self._traces or git.traces(self._source.directory)
        }
        return Print(tuple(self._contents.values()), traces)

    async def _watch_folders(self, stir: Callable[[], Awaitable[None]]) -> None:
        """Stir at every event in the folders, and when none comes for a while.

        Begin anew when one of them is replaced.
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
            await anyio.sleep(ANEW_SECONDS)
            await self._stir(stir)

    def _events(self, folders: Iterable[Path]) -> AsyncGenerator[object, None]:
        return awatch(
            *folders, step=STEP_MILLISECONDS, debounce=LONGEST_BURST_MILLISECONDS,
            watch_filter=None, recursive=False, rust_timeout=int(BACKSTOP_SECONDS * 1000),
            yield_on_timeout=True,
        )  # fmt: skip

    async def _stir(self, stir: Callable[[], Awaitable[None]]) -> None:
        self._stirred.set()
        await stir()

    def _folders(self) -> dict[Path, tuple[int, ...]]:
        """Return the folders where something may happen that are there, and which they are."""
        return {folder: seen[:2] for folder in self._places if (seen := _stat(folder))}

    def _named(self) -> tuple[Path, ...]:
        """Return the folders where something may happen: of the files, of what they link to, git's, the journal's."""
        of_files = {
            self._source.directory,
            *(Path(os.path.realpath(path)).parent for path in self._source.paths),
        }
        of_git = {path.parent for path in git.traces(self._source.directory)}
        return tuple(sorted(of_files | of_git | {self._journal}))


def _content(path: Path, before: FileContent | None) -> FileContent:
    """Return what a file holds; where it is as it was seen before, it is not read again."""
    place, seen = os.path.realpath(path), _stat(path)
    if before is not None and (before.place, before.seen) == (place, seen):
        return before
    try:
        digest = sha256(content_of(path)).hexdigest()
    except OSError as error:
        digest = f"error {error.errno}"
    same = before is not None and (before.place, before.digest) == (place, digest)
    changed = seen[-1] / 1e9 if seen else 0.0
    return FileContent(
        place, digest, seen, before.since if same and before is not None else changed
    )


def _stat(path: Path) -> tuple[int, ...]:
    try:
        seen = path.stat()
    except OSError:
        return ()
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
