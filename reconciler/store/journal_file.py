"""The journal's file: SQLite, each row with a digest over its content and its predecessor's.

Opening checks the whole chain against the head (store/journal_head), so that a lost tail or a
flipped bit is seen and never acted upon. When a run opens, what is too old is forgotten in the same
transaction, and of runs that come and go with requests what is too much: of the last row of each
gap only number and digest stay, as a foot that the rest of the chain stands on, and what is still
known of hosts is restated at the end.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, NamedTuple
from weakref import finalize

from pydantic import TypeAdapter, ValidationError

from reconciler.core.retention import Outline, Retention, carried, first_kept, surplus_passing
from reconciler.edge.atomic import remedy
from reconciler.errors import JournalDamaged, WriteFailed
from reconciler.model.records import SEEN_AGAIN, Asked, Instant, Record, Row, RunOpened
from reconciler.store.filesystem import MOUNTS, mounted_on
from reconciler.store.journal_faults import (
    SQLITE_ERRORS,
    damaged,
    fault,
    lost,
    on_network,
    unreadable,
)
from reconciler.store.journal_format import (
    FOOT,
    NOTHING,
    READABLE,
    VERSION,
    Raw,
    add,
    end_of,
    forget,
    newest_in,
    outlines,
    rows_from,
    rows_of,
    stamp,
    version_of,
)
from reconciler.store.journal_head import Head, HeadFile, is_headed
from reconciler.store.journal_view import BUSY_SECONDS, viewed

if TYPE_CHECKING:
    from reconciler.ports import Clock

ALL_KEPT = Retention()
ROOM = 256 * 1024
"""Bytes by which the journal grows in a switch, at most."""

RECORD: TypeAdapter[Record] = TypeAdapter(Record)


class CheckedChain(NamedTuple):
    """How a checked file begins, and the digest of every row in it and of what they stand on."""

    first: tuple[int, str, str] | None
    digests: dict[int, str]


class JournalFile:
    """Rows in `directory`/journal.sqlite, which is made by the first append.

    Its calls wait for the disk, and are made one at a time, from any thread.
    """

    def __init__(
        self, directory: Path, clock: Clock, retention: Retention = ALL_KEPT, mounts: Path = MOUNTS
    ) -> None:
        """Use a directory; `mounts` is where the kernel lists its mounts."""
        self._file = directory / "journal.sqlite"
        self._head = HeadFile(directory / "head", self._file)
        self._clock = clock
        self._retention = retention
        # Of 9,000 rows a look at all of them takes 12 ms of every switch.
        self._openings = cycle(range(retention.stride))
        self._mounts = mounts
        self._is_local = False
        self._which: tuple[int, int] | None = None
        self._failed = ""
        self._seen = CheckedChain(None, {0: NOTHING})
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    def rows(self) -> Sequence[Row]:
        """All rows, oldest first.

        Raise JournalDamaged, or DurabilityError when it cannot be read now.
        """
        return tuple(self.since(0))

    def since(self, after: int, most: int = sys.maxsize) -> Iterator[Row]:
        """Yield the rows after a number, oldest first, `most` at most; raise as `rows` does.

        Rows up to one that was checked before are not read again while those after it continue its
        chain.
        """
        self._refuse_network()
        self._refuse_another()
        try:
            if not self._file.exists():
                if self._head.exists():
                    raise damaged(self._file, "the head file is there, the journal is not")
                return
            # Another process may write meanwhile: what the head named before must be among the rows
            # that are read after it.
            head = self._head.read()
            with self._reading() as connection:
                rows = self._checked(connection, head or self._head.read(), after)
                yield from islice(rows, most)
        except OSError as error:
            raise unreadable(self._file, str(error.strerror)) from error

    def newest(self) -> int:
        """The number of the newest row, 0 when there is none: cheap, and unchecked.

        Raise DurabilityError.
        """
        self._refuse_another()
        try:
            if not self._file.exists():
                return 0
            if self._reader is not None:
                return newest_in(self._reader)
            view = viewed(self._file)
            if not view.lasts:
                with closing(view.connection) as connection:
                    return newest_in(connection)
            # Kept open, because a watch asks whenever something stirs in the journal's folder. At
            # exit it is closed before a writer that was opened sooner, as in `close`.
            self._reader = view.connection
            finalize(self, self._reader.close)
            return newest_in(self._reader)
        except OSError as error:
            raise unreadable(self._file, str(error.strerror)) from error
        except SQLITE_ERRORS as error:
            raise fault(self._file, error) from error

    def _checked(
        self, connection: sqlite3.Connection, head: Head | None, after: int
    ) -> Iterator[Row]:
        """Yield the rows after a number once they, and at the end the head, are as written.

        Raise JournalDamaged.
        """
        if not version_of(connection):
            self._head.check({0: NOTHING}, head)
            return
        number = self._known(connection, after)
        digests = self._seen.digests
        for raw in rows_from(connection, number + 1):
            if not raw.continues(number, digests[number]):
                raise damaged(self._file, f"row {number + 1} is not what was written")
            number = raw.seq
            digests[number] = raw.digest
            if number > after and raw.kind != FOOT:
                yield self._understood(raw)
        # What was there before, and is no more, answers for no head.
        for gone in [one for one in digests if one > number]:
            del digests[gone]
        self._head.check(digests, head)

    def _known(self, connection: sqlite3.Connection, after: int) -> int:
        """The row up to which nothing must be checked again: `after`, or where the file begins."""
        first = connection.execute(
            "SELECT seq, kind, digest FROM record ORDER BY seq LIMIT 1"
        ).fetchone()
        found = connection.execute("SELECT digest FROM record WHERE seq = ?", (after,)).fetchone()
        is_alike = first == self._seen.first
        if is_alike and found and found[0] == self._seen.digests.get(after):
            return after
        foot = {first[0]: first[2]} if first and first[1] == FOOT else {0: NOTHING}
        self._seen = CheckedChain(first, foot)
        return max(foot)

    def _understood(self, raw: Raw) -> Row:
        try:
            when = Instant(at=raw.at, boot_id=raw.boot_id, boot=raw.boot)
            return Row(seq=raw.seq, when=when, record=RECORD.validate_json(raw.body))
        except ValidationError as error:
            why = f"a row cannot be understood ({error.error_count()} fields)"
            raise damaged(self._file, f"{why}; was it written by a newer version?") from error

    def close(self) -> None:
        """Let go of the file until the next append."""
        # The writer last of all: the last connection that closes folds the log into the file, which
        # one that only reads cannot.
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None

    def append(self, record: Record) -> Row:
        """Write one record and return when kill -9 cannot take it.

        Neither can a power cut, unless it is `SEEN_AGAIN`. Raise WriteFailed, and refuse to go on
        after that; NetworkFileSystem where nothing can be durable; JournalDamaged when rows that
        should be forgotten are not right.
        """
        self._refuse_network()
        self._refuse_another()
        if self._failed:
            raise WriteFailed(self._failed)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            row, digest = self._write(record)
            if is_headed(record) or not self._head.exists():
                self._head.write(Head(row.seq, digest))
        except (*SQLITE_ERRORS, OSError, WriteFailed) as error:
            raise self._given_up(error) from error
        return row

    def check_room(self) -> None:
        """Find out whether the rows of a switch could be written now; raise WriteFailed.

        What the journal holds is not touched.
        """
        if self._failed:
            raise WriteFailed(self._failed)
        folder = self._file.parent
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Where the file system can, the file has no name, and nobody who watches is stirred.
            with TemporaryFile(dir=folder) as file:
                file.write(bytes(ROOM))
        except OSError as error:
            raise WriteFailed(f"{folder} cannot be written: {error}; {remedy(error)}") from error

    def reopen(self) -> None:
        """Read all of it as another process would, and then write on after a write that failed.

        Raise JournalDamaged, or DurabilityError when it cannot be read now.
        """
        self.close()
        self._seen = CheckedChain(None, {0: NOTHING})
        self.rows()
        self._failed = ""

    def _given_up(self, error: Exception) -> WriteFailed:
        self.close()
        refused = f"{self._file} cannot be written: {error}; {remedy(error)}"
        said = error if isinstance(error, WriteFailed) else refused
        # What the disk kept of a failed write is not known, so nothing is added to it.
        self._failed = f"{said}. Nothing more is done until then"
        return WriteFailed(self._failed)

    def _write(self, record: Record) -> tuple[Row, str]:
        connection = self._writer = self._writer or self._opened()
        # A sync takes 0.1 to 20 ms; what can be observed again waits for the next row that is
        # synced (ADR 0005).
        how = "NORMAL" if isinstance(record, SEEN_AGAIN) else "FULL"
        connection.execute(f"PRAGMA synchronous={how}")
        # Two writers meet here, where one waits for the other, and not at COMMIT, where it would
        # fail.
        connection.execute("BEGIN IMMEDIATE")
        stamp(connection)
        if isinstance(record, RunOpened | Asked) and next(self._openings) == 0:
            self._forget(connection)
        written = self._insert(connection, record)
        connection.execute("COMMIT")
        return written

    def _opened(self) -> sqlite3.Connection:
        """Open a connection that writes durably, until this object or the process ends."""
        self._file.touch(mode=0o600)
        self._file.chmod(0o600)
        self._refuse_another()
        # The last reference may be dropped in any thread, while none of them writes.
        connection = sqlite3.connect(
            self._file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        finalize(self, connection.close)
        # Readers do not wait for a writer: `status` while a run is on.
        connection.execute("PRAGMA journal_mode=WAL")
        return connection

    def _insert(self, connection: sqlite3.Connection, record: Record) -> tuple[Row, str]:
        newest, previous = end_of(connection)
        now = self._clock.instant()
        digest = add(
            connection,
            (
                newest + 1,
                now.at,
                now.boot_id,
                now.boot,
                record.kind,
                record.host,
                record.model_dump_json(),
                previous,
            ),
        )
        return Row(seq=newest + 1, when=now, record=record), digest

    def _forget(self, connection: sqlite3.Connection) -> None:
        """Restate what is known of hosts, then forget what is too old or too much.

        Raise JournalDamaged rather than restate what is wrong.
        """
        known = [Outline._make(one) for one in outlines(connection)]
        gone = rows_of(connection, surplus_passing(known, self._retention))
        left = [outline for outline in known if outline.seq not in gone]
        first = first_kept(left, self._clock.wall(), self._retention)
        gone |= {outline.seq for outline in left if outline.seq < first}
        if not gone:
            return
        whole = self._checked(connection, self._head.read(), 0)
        rest = (raw for raw in rows_from(connection, first) if raw.kind != FOOT)
        kept = (self._understood(raw) for raw in rest if raw.seq not in gone)
        for record in carried(whole, kept):
            self._insert(connection, record)
        forget(connection, gone)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(viewed(self._file).connection) as connection:
                version = version_of(connection)
                if version not in {0, *READABLE}:
                    raise self._of_another_format(version)
                yield connection
        except SQLITE_ERRORS as error:
            raise fault(self._file, error) from error

    def _of_another_format(self, version: int) -> JournalDamaged:
        age = "a newer" if version > VERSION else "an older"
        why = f"it has format {version}, written by {age} version than this one ({VERSION})"
        return damaged(self._file, why)

    def _refuse_network(self) -> None:
        if self._is_local:
            return
        mount = mounted_on(self._file.parent, self._mounts)
        if mount and mount.over_network:
            raise on_network(self._file, mount)
        self._is_local = True

    def _refuse_another(self) -> None:
        """Refuse a file that is not the one that was read or written before."""
        try:
            now = self._file.stat()
        except (FileNotFoundError, NotADirectoryError):
            which = None
        except OSError:
            return
        else:
            which = now.st_dev, now.st_ino
        # An open connection would go on writing into a file that no later process finds.
        if self._which is not None and which != self._which:
            raise lost(self._file, is_there=which is not None)
        self._which = which
