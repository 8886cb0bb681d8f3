"""A journal that an earlier version wrote opens, and says what it said then.

pinned/journal-2.sql.gz was dumped after real switches, a start that failed, a hold, a rollback, a
retry, and a kill -9 while a model was being stopped; journal-2.head is the head beside it.
"""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.edge.clock import SystemClock
from reconciler.model.records import Resume
from reconciler.store.journal_file import JournalFile
from reconciler.store.journal_format import VERSION
from tests.runs import of_host

PINNED = Path(__file__).parents[1] / "pinned"
NEWEST = 175
OLDEST = 2
"""The format that it was written in."""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Give the folder of such a journal."""
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as connection:
        connection.executescript(
            gzip.decompress((PINNED / "journal-2.sql.gz").read_bytes()).decode()
        )
    (tmp_path / "head").write_bytes((PINNED / "journal-2.head").read_bytes())
    return tmp_path


def test_a_journal_of_version_2_says_what_was_good_what_failed_and_what_was_cut_short(
    kept: Path,
) -> None:
    rows = JournalFile(kept, SystemClock()).rows()
    hints = of_host(list(rows), "local")
    assert rows[-1].seq == NEWEST
    assert (hints.last_good and hints.last_good.active, hints.generation) == (("b",), 9)
    assert (
        hints.last_good_digest
        == "v1:sha256:2f018a2cdcd0aad09a24728046c83ffe12422f3f762ba4b363c4f5a483a8b8c6"
    )
    assert hints.quarantine is None
    assert hints.held is None
    assert hints.open_run is not None
    assert hints.open_run.in_flight is not None
    assert (hints.open_run.seq, hints.open_run.in_flight.step, hints.open_run.in_flight.model) == (
        170,
        "stop",
        "b",
    )
    assert hints.typical_seconds("start", "a") is not None


def test_a_journal_of_an_older_version_is_written_on_and_becomes_one_of_this(kept: Path) -> None:
    before = JournalFile(kept, SystemClock()).rows()
    assert version(kept) == OLDEST, "who only reads changes nothing"
    JournalFile(kept, SystemClock()).append(Resume(host="local"))
    assert version(kept) == VERSION
    again = JournalFile(kept, SystemClock()).rows()
    assert list(again[:-1]) == list(before)
    assert again[-1].seq == NEWEST + 1


def version(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found
