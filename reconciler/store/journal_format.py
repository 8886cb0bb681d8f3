"""Journal format: one table of rows, each with a digest over its content and its predecessor's."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

VERSION = 7
READABLE = {2, 3, 4, 5, 6, VERSION}
"""Rows of formats 2 to 6 are understood as they are; the first append stamps the file with the
format of what it writes."""

NOTHING = "0" * 64
"""What the first row has for its predecessor's digest."""

FOOT = "forgotten"
"""The kind of the last of some rows that were forgotten: what comes after it stands on its digest.
It has the digest of the last row that was kept before, so that both ends are known."""

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
    " previous = ? WHERE seq = ?"
)
_OUTLINES = """
SELECT seq, at, host, json_extract(run, '$.mode'), ifnull(json_extract(run, '$.generation'), 0)
FROM (SELECT *, CASE kind WHEN 'run-opened' THEN body END AS run FROM record)
WHERE kind != ? ORDER BY seq
"""
_OF_RUNS = """
SELECT seq FROM record, (SELECT ? AS runs) WHERE seq IN (SELECT value FROM json_each(runs))
OR json_extract(nullif(body, ''), '$.run') IN (SELECT value FROM json_each(runs))
OR (kind IN ('leased', 'released', 'idled', 'roused') AND seq < ?)
"""


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
        """Whether it is what was written after the row with this number and digest."""
        if self.previous != previous:
            return False
        if self.kind == FOOT:
            return self.seq > number
        return self.seq == number + 1 and self.digest == digest_of(self[:-1])


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


def outlines(connection: sqlite3.Connection) -> Iterator[tuple[int, float, str, str | None, int]]:
    """What of each row decides whether it is kept, oldest first."""
    yield from connection.execute(_OUTLINES, (FOOT,))


def rows_of(connection: sqlite3.Connection, runs: Sequence[int]) -> frozenset[int]:
    """The rows of these runs, and what was lent and rested before the last of them."""
    if not runs:
        return frozenset()
    found = connection.execute(_OF_RUNS, (json.dumps(runs), max(runs)))
    return frozenset(seq for (seq,) in found)


def forget(connection: sqlite3.Connection, gone: Collection[int]) -> None:
    """Drop rows; of each gap between those that are kept the last one stays as a foot."""
    rows = connection.execute("SELECT seq, kind, digest FROM record ORDER BY seq").fetchall()
    previous = ""
    for is_gap, found in groupby(rows, lambda row: row[1] == FOOT or row[0] in gone):
        stretch = list(found)
        first, (last, _, digest) = stretch[0][0], stretch[-1]
        if is_gap:
            connection.execute("DELETE FROM record WHERE seq >= ? AND seq < ?", (first, last))
            connection.execute(_EMPTY, (FOOT, previous, last))
        else:
            previous = digest


def digest_of(fields: Sequence[object]) -> str:
    """The digest of a row's other columns, of which its predecessor's digest is one."""
    written = json.dumps(list(fields), ensure_ascii=False)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()
