"""The journal's format: one table of rows, each with a digest over its content and its predecessor's."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

VERSION = 3
READABLE = {2, VERSION}
"""Rows of format 2 are understood as they are; the first append stamps the file with the format of
what it writes."""

NOTHING = "0" * 64
"""What the first row has for its predecessor's digest."""

FOOT = "forgotten"
"""The kind of the row whose digest a chain stands on that has forgotten what was before it."""

SCHEMA = """
CREATE TABLE record (
  seq INTEGER PRIMARY KEY, at REAL NOT NULL, boot_id TEXT NOT NULL, boot REAL NOT NULL, kind TEXT NOT NULL, host TEXT NOT NULL,
  body TEXT NOT NULL, previous TEXT NOT NULL, digest TEXT NOT NULL
) STRICT
"""
COLUMNS = "seq, at, boot_id, boot, kind, host, body, previous, digest"


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


def version_of(connection: sqlite3.Connection) -> int:
    """Return the format of a file, 0 for one that nothing was written to."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def rows_from(connection: sqlite3.Connection, seq: int) -> Iterator[Raw]:
    """Yield the rows from a number on, oldest first."""
    return map(
        Raw._make,
        connection.execute(f"SELECT {COLUMNS} FROM record WHERE seq >= ? ORDER BY seq", (seq,)),  # noqa: S608
    )


def digest_of(fields: Sequence[object]) -> str:
    """Return the digest of a row without it: over all that stands in its other columns, its predecessor's digest too."""
    return hashlib.sha256(
        json.dumps(list(fields), ensure_ascii=False).encode("utf-8", "surrogatepass")
    ).hexdigest()
