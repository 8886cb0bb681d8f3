"""The journal's file: SQLite, each row with a digest over its content and its predecessor's, and a small head file.

Opening checks the whole chain against the head, so that a lost tail or a flipped bit is seen and
never acted upon. When a run opens, what is too old is forgotten in the same transaction: of the
last forgotten row only number and digest stay, as the foot that the chain stands on, and what is
still known of hosts is restated at the end.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from weakref import finalize

from pydantic import TypeAdapter, ValidationError

from reconciler.core.retention import Outline, Retention, carried, first_kept
from reconciler.edge.atomic import remedy, write_file
from reconciler.errors import DurabilityError, JournalDamaged, NetworkFileSystem, WriteFailed
from reconciler.model.records import SEEN_AGAIN, Asked, Instant, Record, Row, RunOpened, StepIntent
from reconciler.store.filesystem import MOUNTS, mounted_on
from reconciler.store.journal_format import (
    COLUMNS,
    FOOT,
    NOTHING,
    READABLE,
    SCHEMA,
    VERSION,
    Raw,
    digest_of,
    rows_from,
    version_of,
)

if TYPE_CHECKING:
    from reconciler.ports import Clock

BUSY_SECONDS = 10.0
HEADED = {"run-opened", "run-closed", "adopted", "retry", "roll-back", "hold", "resume"}
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError, OverflowError)
"""What the bindings raise: a broken file may also break the message about it."""
ALL_KEPT = Retention()
PRIMARY = 0xFF
PASSING = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY),
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR),
}

# One table: a chain of digests needs one order anyway, and all else is a fold of it (ADR 0001).
RECORD: TypeAdapter[Record] = TypeAdapter(Record)
Head: TypeAlias = tuple[int, str] | None


class CheckedChain(NamedTuple):
    """What was checked: how the file begins, and the digest of every row and of what they stand on."""

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
        self._head = directory / "head"
        self._clock = clock
        self._retention = retention
        self._mounts = mounts
        self._is_local = False
        self._which: tuple[int, int] | None = None
        self._failed = ""
        self._seen = CheckedChain(None, {0: NOTHING})
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    def rows(self) -> Sequence[Row]:
        """Return all rows, oldest first.

        Raise JournalDamaged, or DurabilityError when it cannot be read now.
        """
        return tuple(self.since(0))

    def since(self, after: int) -> Iterator[Row]:
        """Yield the rows after a number, oldest first; raise as `rows` does.

        Rows up to one that was checked before are not read again while those after it continue its
        chain.
        """
        self._refuse_network()
        self._refuse_another()
        try:
            if not self._file.exists():
                if self._head.exists():
                    raise self._damaged("the head file is there, the journal is not")
                return
            # Another process may write meanwhile: what the head named before must be among the rows
            # that are read after it.
            head = self._read_head()
            with self._reading() as connection:
                yield from self._checked(connection, head or self._read_head(), after)
        except OSError as error:
            raise self._unreadable(str(error.strerror)) from error

    def newest(self) -> int:
        """Return the number of the newest row, 0 when there is none: cheap, and unchecked.

        Raise DurabilityError.
        """
        self._refuse_another()
        try:
            if not self._file.exists():
                return 0
            self._reader = self._reader or self._reader_opened()
            newest = (
                self._reader.execute("SELECT max(seq) FROM record").fetchone()[0]
                if version_of(self._reader)
                else 0
            )
        except OSError as error:
            raise self._unreadable(str(error.strerror)) from error
        except SQLITE_ERRORS as error:
            raise self._fault(error) from error
        return int(newest or 0)

    def _checked(self, connection: sqlite3.Connection, head: Head, after: int) -> Iterator[Row]:
        """Yield the rows after a number once chain and, at the end, head are found to be as written; raise JournalDamaged."""
        if not version_of(connection):
            self._check_head({0: NOTHING}, head)
            return
        number = self._known(connection, after)
        digests = self._seen.digests
        for raw in rows_from(connection, number + 1):
            number += 1
            if (
                raw.seq != number
                or raw.previous != digests[number - 1]
                or raw.digest != digest_of(raw[:-1])
            ):
                raise self._damaged(f"row {number} is not what was written")
            digests[number] = raw.digest
            if number > after:
                yield self._understood(raw)
        self._check_head(digests, head)

    def _known(self, connection: sqlite3.Connection, after: int) -> int:
        """Return the number of the row up to which nothing must be checked again: `after`, or where the file begins."""
        first = connection.execute(
            "SELECT seq, kind, digest FROM record ORDER BY seq LIMIT 1"
        ).fetchone()
        found = connection.execute("SELECT digest FROM record WHERE seq = ?", (after,)).fetchone()
        digests = self._seen.digests
        if first == self._seen.first and found and found[0] == digests.get(after):
            for number in range(after + 1, max(digests) + 1):
                del digests[number]
            return after
        foot = {first[0]: first[2]} if first and first[1] == FOOT else {0: NOTHING}
        self._seen = CheckedChain(first, foot)
        return max(foot)

    def _understood(self, raw: Raw) -> Row:
        try:
            when = Instant(at=raw.at, boot_id=raw.boot_id, boot=raw.boot)
            return Row(seq=raw.seq, when=when, record=RECORD.validate_json(raw.body))
        except ValidationError as error:
            raise self._damaged(
                f"a row cannot be understood ({error.error_count()} fields); was it written by a"
                " newer version?"
            ) from error

    def close(self) -> None:
        """Let go of the file until the next append: who writes last of all, so that its log is folded into it."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None

    def append(self, record: Record) -> Row:
        """Write one record and return when kill -9 cannot take it, nor a power cut unless it is `SEEN_AGAIN`.

        Raise WriteFailed, and refuse to go on after that; NetworkFileSystem where nothing can be
        durable; JournalDamaged when rows that are to be forgotten are not right.
        """
        self._refuse_network()
        self._refuse_another()
        if self._failed:
            raise WriteFailed(self._failed)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            row, digest = self._write(record)
            if _promised(record) or not self._head.exists():
                write_file(self._head, json.dumps({"seq": row.seq, "digest": digest}).encode())
        except (*SQLITE_ERRORS, OSError, WriteFailed) as error:
            self.close()
            refused = f"{self._file} cannot be written: {error}; {remedy(error)}"
            # What the disk kept of a failed write is not known, so nothing is added to it.
            self._failed = (
                f"{error if isinstance(error, WriteFailed) else refused}. Nothing more is done"
                " until then"
            )
            raise WriteFailed(self._failed) from error
        return row

    def _write(self, record: Record) -> tuple[Row, str]:
        connection = self._writer = self._writer or self._opened()
        # A sync takes 0.1 to 20 ms; what can be observed again waits for the next row that is
        # synced (ADR 0005).
        connection.execute(
            f"PRAGMA synchronous={'NORMAL' if isinstance(record, SEEN_AGAIN) else 'FULL'}"
        )
        # Two writers meet here, where one waits for the other, and not at COMMIT, where it would
        # fail.
        connection.execute("BEGIN IMMEDIATE")
        version = version_of(connection)
        if not version:
            connection.execute(SCHEMA)
        if version != VERSION:
            connection.execute(f"PRAGMA user_version={VERSION}")
        if isinstance(record, RunOpened | Asked):
            self._forget(connection)
        written = self._insert(connection, record)
        connection.execute("COMMIT")
        return written

    def _opened(self) -> sqlite3.Connection:
        """Return a connection that writes durably, and is closed with this object or at exit at the latest."""
        self._file.touch(mode=0o600)
        self._file.chmod(0o600)
        self._refuse_another()
        # The last reference may be dropped in any thread; nobody writes in two at once.
        connection = sqlite3.connect(
            self._file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        finalize(self, connection.close)
        # Whoever reads does not wait for whoever writes: `status` while a run is on.
        connection.execute("PRAGMA journal_mode=WAL")
        return connection

    def _reader_opened(self) -> sqlite3.Connection:
        """Return a connection that reads, and is closed at exit before one that was opened sooner to write."""
        connection = sqlite3.connect(
            f"{self._file.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_SECONDS,
            check_same_thread=False,
        )
        finalize(self, connection.close)
        return connection

    def _insert(self, connection: sqlite3.Connection, record: Record) -> tuple[Row, str]:
        last = connection.execute(
            "SELECT seq, digest FROM record ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        seq, previous = (last[0] + 1, last[1]) if last else (1, NOTHING)
        now = self._clock.instant()
        fields = (
            seq,
            now.at,
            now.boot_id,
            now.boot,
            record.kind,
            record.host,
            record.model_dump_json(),
            previous,
        )
        digest = digest_of(fields)
        connection.execute(
            f"INSERT INTO record ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constants
            (*fields, digest),
        )
        return Row(seq=seq, when=now, record=record), digest

    def _forget(self, connection: sqlite3.Connection) -> None:
        """Restate what is known of hosts, then forget what is too old.

        Raise JournalDamaged rather than restate what is wrong.
        """
        outlines = connection.execute(
            "SELECT seq, at, kind = 'run-opened' FROM record WHERE kind != ? ORDER BY seq", (FOOT,)
        )
        kept = [Outline(*outline) for outline in outlines]
        first = first_kept(kept, self._clock.wall(), self._retention)
        if not kept or first == kept[0].seq:
            return
        whole = self._checked(connection, self._read_head(), 0)
        for record in carried(whole, map(self._understood, rows_from(connection, first))):
            self._insert(connection, record)
        connection.execute("DELETE FROM record WHERE seq < ?", (first - 1,))
        foot = (FOOT, first - 1)
        connection.execute(
            "UPDATE record SET at = 0, boot_id = '', boot = 0, kind = ?, host = '', body = '',"
            " previous = '' WHERE seq = ?",
            foot,
        )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(
                    f"{self._file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS
                )
            ) as connection:
                version = version_of(connection)
                if version not in {0, *READABLE}:
                    age = "a newer" if version > VERSION else "an older"
                    raise self._damaged(
                        f"it has format {version}, written by {age} version than this one"
                        f" ({VERSION})"
                    )
                yield connection
        except SQLITE_ERRORS as error:
            raise self._fault(error) from error

    def _check_head(self, digests: Mapping[int, str], head: Head) -> None:
        """Hold the chain against the head.

        A writer killed after a commit leaves an older head, or none beside the first row.
        """
        if head is None and max(digests) > 1:
            raise self._damaged("the head file is missing")
        if head is not None and head[0] >= min(digests) and digests.get(head[0]) != head[1]:
            raise self._damaged(
                f"rows up to {head[0]} were written, {max(digests)} are there or they are not the"
                " same"
            )

    def _read_head(self) -> Head:
        if not self._head.exists():
            return None
        try:
            head = json.loads(self._head.read_bytes())
            seq, digest = head["seq"], head["digest"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged("its head file cannot be read") from error
        if (
            not isinstance(seq, int)
            or isinstance(seq, bool)
            or seq < 1
            or not isinstance(digest, str)
        ):
            raise self._damaged("its head file makes no sense")
        return seq, digest

    def _refuse_network(self) -> None:
        if self._is_local:
            return
        mount = mounted_on(self._file.parent, self._mounts)
        if mount and mount.over_network:
            found = (
                f"the journal {self._file} would lie on a network file system ({mount.kind},"
                f" mounted on {mount.point}), where a crash may lose what was recorded"
            )
            fix = "Choose a local disk: --data DIR, or RECONCILER_DATA"
            raise NetworkFileSystem(f"{found}. Nothing was done. {fix}", found=found, fix=fix)
        self._is_local = True

    def _refuse_another(self) -> None:
        """Refuse a file that is not the one that was read or written before: what is written to either is known to nobody."""
        try:
            now = self._file.stat()
        except (FileNotFoundError, NotADirectoryError):
            which = None
        except OSError:
            return
        else:
            which = now.st_dev, now.st_ino
        if self._which is not None and which != self._which:
            what = "is gone" if which is None else "was replaced by another file"
            raise DurabilityError(
                f"the journal {self._file} {what}, so nothing more is done. Put the old one back"
                " and run the command again; without it the next command begins a new one, adopts"
                " engines that run by their marks, and knows no history"
            )
        self._which = which

    def _fault(self, error: Exception) -> DurabilityError:
        return (self._unreadable if _is_passing(error) else self._damaged)(str(error))

    def _unreadable(self, why: str) -> DurabilityError:
        found = f"the journal {self._file} cannot be read: {why}"
        fix = (
            "free space, fix the permissions or the disk, or wait for who holds it; then run the"
            " command again"
        )
        message = f"{found}. Nothing was done, and nothing says that it is damaged: {fix}"
        return DurabilityError(message, found=f"{found}; nothing says that it is damaged", fix=fix)

    def _damaged(self, why: str) -> JournalDamaged:
        folder = self._file.parent
        found = f"the journal {self._file} is damaged: {why}"
        fix = (
            f"To go on, move it aside (mv {folder} {folder}.damaged): engines that run are adopted"
            " by their marks, only history and last good are lost"
        )
        return JournalDamaged(f"{found}. Nothing was done. {fix}", found=found, fix=fix)


def _is_passing(error: Exception) -> bool:
    """Tell whether the machine is in the way, and not the bytes: a read past the end of a file is the bytes."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & PRIMARY in PASSING and code != sqlite3.SQLITE_IOERR_SHORT_READ


def _promised(record: Record) -> bool:
    return record.kind in HEADED or (
        isinstance(record, StepIntent) and record.in_doubt == "irreversible"
    )
