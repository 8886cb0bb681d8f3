"""Journal format: one table of rows, each with a digest over its content and its predecessor's."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

VERSION = 6
READABLE = {2, 3, 4, 5, VERSION}
"""Rows of formats 2 to 5 are understood as they are; the first append stamps the file with the
format of what it writes."""

NOTHING = "0" * 64
"""What the first row has for its predecessor's digest."""

FOOT = "forgotten"
"""The kind of the row whose digest a chain stands on that has forgotten what was before it."""

# One table: a chain of digests needs one order anyway, and all else is a fold of it (ADR 0001).
SCHEMA = """
CREATE TABLE record (
  seq INTEGER PRIMARY KEY, at REAL NOT NULL, boot_id TEXT NOT NULL, boot REAL NOT NULL,
  kind TEXT NOT NULL, host TEXT NOT NULL,
  body TEXT NOT NULL, previous TEXT NOT NULL, digest TEXT NOT NULL
) STRICT
"""
COLUMNS = "seq, at, boot_id, boot, kind, host, body, previous, digest"
_ROWS = f"SELECT {COLUMNS} FROM record WHERE seq >= ? ORDER BY seq"  # noqa: S608 - constants
_INSERT = f"INSERT INTO record ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)"  # noqa: S608 - constants
_EMPTY = (
    "UPDATE record SET at = 0, boot_id = '', boot = 0, kind = ?, host = '', body = '',"
    " previous = '' WHERE seq = ?"
)


class Raw(NamedTuple):
    """A row as it lies in the file."""

    seq: int
    at: float
    boot_id: str
    boot: float
    kind: str
    host: str
    body: str
    previous: str
    digest: str

    def continues(self, number: int, previous: str) -> bool:
        """Whether it is what was written as this row, after one with this digest."""
        return (
            self.seq == number and self.previous == previous and self.digest == digest_of(self[:-1])
        )


def version_of(connection: sqlite3.Connection) -> int:
    """The format of a file, 0 for one that nothing was written to."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def stamp(connection: sqlite3.Connection) -> None:
    """Make the table where there is none, and name the format of what will be written."""
    version = version_of(connection)
    if not version:
        connection.execute(SCHEMA)
    if version != VERSION:
        connection.execute(f"PRAGMA user_version={VERSION}")


def rows_from(connection: sqlite3.Connection, seq: int) -> Iterator[Raw]:
    """Yield the rows from a number on, oldest first."""
    return map(Raw._make, connection.execute(_ROWS, (seq,)))


def newest_in(connection: sqlite3.Connection) -> int:
    """The number of the newest row, 0 when there is none."""
    if not version_of(connection):
        return 0
    newest = connection.execute("SELECT max(seq) FROM record").fetchone()[0]
    return int(newest or 0)


def end_of(connection: sqlite3.Connection) -> tuple[int, str]:
    """The number and digest of the newest row in the table, which the next one stands on."""
    last = connection.execute("SELECT seq, digest FROM record ORDER BY seq DESC LIMIT 1").fetchone()
    return last or (0, NOTHING)


def add(connection: sqlite3.Connection, fields: Sequence[object]) -> str:
    """Insert a row from all its fields but the digest, which is returned."""
    digest = digest_of(fields)
    connection.execute(_INSERT, (*fields, digest))
    return digest


def forget_before(connection: sqlite3.Connection, first: int) -> None:
    """Drop the rows before a number; the last of them stays as the foot of those that are kept."""
    connection.execute("DELETE FROM record WHERE seq < ?", (first - 1,))
    connection.execute(_EMPTY, (FOOT, first - 1))


def digest_of(fields: Sequence[object]) -> str:
    """The digest of a row's other columns, of which its predecessor's digest is one."""
    written = json.dumps(list(fields), ensure_ascii=False)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()
