"""The journal keeps what was written, and says so when it could not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from reconciler.errors import JournalDamaged, WriteFailed
from reconciler.fakes.journal import MemoryJournal
from reconciler.model.records import Retry, StepIntent
from reconciler.ports import Journal
from reconciler.store.journal import SqliteJournal
from tests.clocks import StoppedClock


def sqlite_journal(directory: Path) -> SqliteJournal:
    return SqliteJournal(directory, StoppedClock(), "boot")


@pytest.fixture(params=["sqlite", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    return sqlite_journal(tmp_path / "journal") if request.param == "sqlite" else MemoryJournal(StoppedClock())


def intent(number: int) -> StepIntent:
    return StepIntent(host="local", run=1, number=number, step="shutdown", in_doubt="irreversible")


def test_rows_come_back_in_order(journal: Journal) -> None:
    written = [journal.append(Retry(host=f"host{number}")) for number in range(5)]
    assert list(journal.rows()) == written
    assert [row.seq for row in written] == [1, 2, 3, 4, 5]


def test_a_journal_that_was_never_written_is_empty_and_creates_nothing(tmp_path: Path) -> None:
    assert sqlite_journal(tmp_path / "journal").rows() == ()
    assert list(tmp_path.iterdir()) == []


def test_rows_survive_being_opened_again(tmp_path: Path) -> None:
    row = sqlite_journal(tmp_path).append(Retry(host="local"))
    assert sqlite_journal(tmp_path).rows() == (row,)


def test_two_writers_share_one_chain(tmp_path: Path) -> None:
    first, second = sqlite_journal(tmp_path), sqlite_journal(tmp_path)
    for _ in range(3):
        first.append(Retry(host="a"))
        second.append(Retry(host="b"))
    assert [row.record.host for row in first.rows()] == ["a", "b"] * 3


def test_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    sqlite_journal(tmp_path).append(Retry(host="local"))
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_a_lost_row_is_seen(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path)
    for number in range(3):
        journal.append(intent(number))
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("DELETE FROM record WHERE seq = 3")
    connection.close()
    with pytest.raises(JournalDamaged, match="rows up to 3 were written"):
        journal.rows()


def test_a_changed_row_is_seen(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path)
    for number in range(3):
        journal.append(intent(number))
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("UPDATE record SET host = 'other' WHERE seq = 2")
    connection.close()
    with pytest.raises(JournalDamaged, match="row 2 is not what was written"):
        journal.rows()


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(intent(1))
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(JournalDamaged, match="newer version"):
        journal.rows()


def test_a_row_of_an_unknown_kind_is_damage_with_a_way_out(tmp_path: Path) -> None:
    from reconciler.store import journal as module  # noqa: PLC0415 - the digest of a forged row is made as the journal makes it

    journal = sqlite_journal(tmp_path)
    fields = (1, 0.0, "boot", "strange", "local", '{"kind": "strange"}', module.NOTHING)
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute(module.SCHEMA)
        connection.execute("PRAGMA user_version = 1")
        connection.execute("INSERT INTO record VALUES (?,?,?,?,?,?,?,?)", (*fields, module._digest(fields)))
    connection.close()
    with pytest.raises(JournalDamaged, match="move it aside"):
        journal.rows()


@pytest.mark.parametrize("head", [b"", b"{", b"[]", b'{"seq": 0, "digest": ""}', b'{"seq": "1", "digest": ""}', b"\xff"])
def test_a_head_that_makes_no_sense_is_damage(tmp_path: Path, head: bytes) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(intent(1))
    (tmp_path / "head").write_bytes(head)
    with pytest.raises(JournalDamaged):
        journal.rows()


def test_a_missing_head_is_damage(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(Retry(host="local"))
    (tmp_path / "head").unlink()
    with pytest.raises(JournalDamaged, match="head file is missing"):
        journal.rows()


def test_a_head_without_a_journal_is_damage(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(Retry(host="local"))
    (tmp_path / "journal.sqlite").unlink()
    with pytest.raises(JournalDamaged, match="the journal is not"):
        journal.rows()


def test_a_folder_in_the_way_ends_all_writing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = sqlite_journal(tmp_path / "file" / "journal")
    for _ in range(2):
        with pytest.raises(WriteFailed, match="cannot be written"):
            journal.append(Retry(host="local"))
