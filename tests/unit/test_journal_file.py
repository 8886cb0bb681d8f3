"""The journal keeps what was written, and says so when it could not."""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
from pathlib import Path

import pytest

from reconciler.errors import DurabilityError, JournalDamaged, WriteFailed
from reconciler.fakes.journal import MemoryJournal
from reconciler.model.records import Retry, RunClosed, StepDone, StepIntent
from reconciler.store.journal_file import ROOM, JournalFile
from reconciler.store.journal_format import VERSION
from tests.clocks import StoppedClock
from tests.faults import under_limit
from tests.runs import run_opened


def sqlite_journal(directory: Path) -> JournalFile:
    return JournalFile(directory, StoppedClock())


@pytest.fixture(params=["sqlite", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryJournal | JournalFile:
    return (
        sqlite_journal(tmp_path / "journal")
        if request.param == "sqlite"
        else MemoryJournal(StoppedClock())
    )


def intent(number: int) -> StepIntent:
    return StepIntent(host="local", run=1, number=number, step="shutdown", in_doubt="irreversible")


def test_rows_come_back_in_order(journal: MemoryJournal | JournalFile) -> None:
    written = [journal.append(Retry(host=f"host{number}")) for number in range(5)]
    assert list(journal.rows()) == written
    assert [row.seq for row in written] == [1, 2, 3, 4, 5]


def test_a_journal_that_was_never_written_is_empty_and_creates_nothing(tmp_path: Path) -> None:
    assert sqlite_journal(tmp_path / "journal").rows() == ()
    assert list(tmp_path.iterdir()) == []


def test_rows_survive_being_opened_again(tmp_path: Path) -> None:
    row = sqlite_journal(tmp_path).append(Retry(host="local"))
    assert sqlite_journal(tmp_path).rows() == (row,)


def test_a_journal_that_let_go_of_its_file_goes_on_at_the_next_row(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path)
    first = journal.append(Retry(host="local"))
    journal.close()
    assert {path.name for path in tmp_path.iterdir()} == {"head", "journal.sqlite"}
    second = journal.append(Retry(host="local"))
    assert journal.rows() == (first, second)


def test_every_intent_is_synced_before_it_is_returned_and_outcomes_are_with_the_next(
    tmp_path: Path,
) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(run_opened("box"))
    told: list[str] = []
    assert journal._writer is not None
    journal._writer.set_trace_callback(told.append)
    journal.append(
        StepIntent(host="box", run=1, number=1, step="start", model="a", in_doubt="observable")
    )
    journal.append(StepDone(host="box", run=1, number=1, step="start", model="a", outcome="done"))
    journal.append(RunClosed(host="box", run=1, verdict="promoted"))
    asked = [line.rpartition("=")[2] for line in told if line.startswith("PRAGMA synchronous=")]
    assert asked == ["FULL", "NORMAL", "FULL"]


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


@pytest.mark.parametrize(("version", "age"), [(1, "an older"), (VERSION + 1, "a newer")])
def test_another_format_is_named(tmp_path: Path, version: int, age: str) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(intent(1))
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(JournalDamaged, match=f"written by {age} version"):
        journal.rows()


def test_a_row_of_an_unknown_kind_is_damage_with_a_way_out(tmp_path: Path) -> None:
    # The digest of a forged row is made as the journal makes it.
    from reconciler.store import (  # noqa: PLC0415
        journal_format as module,
    )

    journal = sqlite_journal(tmp_path)
    fields = (1, 0.0, "boot", 0.0, "strange", "local", '{"kind": "strange"}', module.NOTHING)
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute(module.SCHEMA)
        connection.execute("PRAGMA user_version = 2")
        connection.execute(
            "INSERT INTO record VALUES (?,?,?,?,?,?,?,?,?)", (*fields, module.digest_of(fields))
        )
    connection.close()
    with pytest.raises(JournalDamaged, match="move it aside"):
        journal.rows()


@pytest.mark.parametrize(
    "head", [b"", b"{", b"[]", b'{"seq": 0, "digest": ""}', b'{"seq": "1", "digest": ""}', b"\xff"]
)
def test_a_head_that_makes_no_sense_is_damage(tmp_path: Path, head: bytes) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(intent(1))
    (tmp_path / "head").write_bytes(head)
    with pytest.raises(JournalDamaged):
        journal.rows()


def test_a_missing_head_is_damage(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(Retry(host="local"))
    journal.append(Retry(host="local"))
    (tmp_path / "head").unlink()
    with pytest.raises(JournalDamaged, match="head file is missing"):
        journal.rows()


def test_a_first_row_whose_writer_was_killed_before_the_head_is_kept_and_headed_next(
    tmp_path: Path,
) -> None:
    first = sqlite_journal(tmp_path).append(Retry(host="local"))
    (tmp_path / "head").unlink()
    second = sqlite_journal(tmp_path).append(
        StepDone(host="local", run=1, number=1, step="start", outcome="done")
    )
    assert sqlite_journal(tmp_path).rows() == (first, second)
    assert json.loads((tmp_path / "head").read_bytes())["seq"] == 2


def test_a_head_without_a_journal_is_damage(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(Retry(host="local"))
    (tmp_path / "journal.sqlite").unlink()
    with pytest.raises(JournalDamaged, match="the journal is not"):
        sqlite_journal(tmp_path).rows()


@pytest.mark.parametrize("name", ["journal.sqlite", "head"])
def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path: Path, name: str) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(Retry(host="local"))
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(DurabilityError, match="cannot be read.*run the command again") as refused:
        sqlite_journal(tmp_path).rows()
    assert not isinstance(refused.value, JournalDamaged)


@pytest.mark.parametrize(
    ("loss", "said"), [("gone", "is gone"), ("replaced", "was replaced by another file")]
)
def test_a_journal_that_was_taken_away_is_written_and_read_no_more(
    tmp_path: Path, loss: str, said: str
) -> None:
    here, away = tmp_path / "here", tmp_path / "away"
    journal = sqlite_journal(here)
    journal.append(run_opened("box"))
    here.rename(away)
    if loss == "replaced":
        sqlite_journal(here).append(run_opened("another"))
    for use in (journal.rows, journal.newest, lambda: journal.append(run_opened("box"))):
        with pytest.raises(DurabilityError, match=f"{said}, so nothing more is done"):
            use()
    shutil.rmtree(here, ignore_errors=True)
    away.rename(here)
    assert journal.append(run_opened("box")).seq == 2


def test_a_journal_that_cannot_be_looked_for_is_not_called_gone(tmp_path: Path) -> None:
    here = tmp_path / "here"
    journal = sqlite_journal(here)
    journal.append(run_opened("box"))
    here.rename(tmp_path / "away")
    here.symlink_to(here)
    with pytest.raises(WriteFailed, match="cannot be written"):
        journal.append(run_opened("box"))


def test_a_folder_whose_name_is_too_long_is_said(tmp_path: Path) -> None:
    with pytest.raises(DurabilityError, match="File name too long"):
        sqlite_journal(tmp_path / ("x" * 300)).rows()
    with pytest.raises(DurabilityError, match="File name too long"):
        sqlite_journal(tmp_path / ("x" * 300)).newest()


def test_a_folder_in_the_way_ends_all_writing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = sqlite_journal(tmp_path / "file" / "journal")
    for _ in range(2):
        with pytest.raises(WriteFailed, match="cannot be written"):
            journal.append(Retry(host="local"))


def test_the_newest_row_is_told_without_reading_any(tmp_path: Path) -> None:
    reader, writer = sqlite_journal(tmp_path / "journal"), sqlite_journal(tmp_path / "journal")
    assert reader.newest() == 0
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "journal.sqlite").touch()
    assert reader.newest() == 0
    assert reader.rows() == ()
    for number in (1, 2):
        writer.append(intent(number))
        assert reader.newest() == number
    (tmp_path / "other" / "journal.sqlite").mkdir(parents=True)
    with pytest.raises(DurabilityError):
        sqlite_journal(tmp_path / "other").newest()


def test_the_newest_row_of_what_is_no_database_is_damage(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"of no format" * 100)
    with pytest.raises(JournalDamaged):
        sqlite_journal(tmp_path).newest()


def test_rows_after_a_number_are_told_whether_or_not_those_before_were_read(
    journal: MemoryJournal | JournalFile,
) -> None:
    written = [journal.append(intent(number)) for number in range(3)]
    assert list(journal.since(2)) == written[2:]
    assert list(journal.since(2)) == written[2:]
    written += [journal.append(intent(number)) for number in range(3, 5)]
    assert list(journal.since(3)) == written[3:]
    assert list(journal.since(5)) == []
    assert list(journal.since(0)) == written


def test_rows_after_one_that_was_checked_must_continue_its_chain(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path)
    for number in range(3):
        journal.append(intent(number))
    assert [row.seq for row in journal.since(0)] == [1, 2, 3]
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("UPDATE record SET previous = '' WHERE seq = 3")
    connection.close()
    with pytest.raises(JournalDamaged, match="row 3 is not what was written"):
        list(journal.since(2))


def test_a_newest_row_that_was_read_and_is_gone_is_missed(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path)
    for number in range(1, 5):
        journal.append(intent(number))
    assert len(journal.rows()) == 4
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("DELETE FROM record WHERE seq = 4")
    connection.close()
    with pytest.raises(JournalDamaged):
        list(journal.since(2))


def test_whether_there_is_room_is_found_out_without_writing_a_row(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path / "journal")
    journal.check_room()
    assert list((tmp_path / "journal").iterdir()) == []
    with (
        under_limit(resource.RLIMIT_FSIZE, ROOM - 1),
        pytest.raises(WriteFailed, match="journal cannot be written: .*ulimit -f"),
    ):
        journal.check_room()
    row = journal.append(intent(1))
    journal.check_room()
    assert list(journal.rows()) == [row]


def test_after_a_write_that_failed_there_is_no_room_until_it_is_opened_again(
    tmp_path: Path,
) -> None:
    journal = sqlite_journal(tmp_path)
    journal.append(intent(1))
    with under_limit(resource.RLIMIT_FSIZE, 0), pytest.raises(WriteFailed):
        journal.append(intent(2))
    with pytest.raises(WriteFailed):
        journal.check_room()
    journal.reopen()
    journal.check_room()


def test_on_a_full_disk_a_journal_is_read_whose_rows_are_all_in_its_file(tmp_path: Path) -> None:
    first = sqlite_journal(tmp_path)
    rows = [first.append(intent(1)), first.append(intent(2))]
    first.close()
    again = sqlite_journal(tmp_path)
    with under_limit(resource.RLIMIT_FSIZE, 0):
        assert list(again.rows()) == rows
        assert [again.newest(), again.newest()] == [2, 2]
        with pytest.raises(WriteFailed):
            again.append(intent(3))
    again.reopen()
    sqlite_journal(tmp_path).append(intent(3))
    assert again.newest() == 3, "what others write is seen once there is room"


def test_on_a_full_disk_a_journal_with_rows_in_its_log_is_not_read_in_part(tmp_path: Path) -> None:
    writer = sqlite_journal(tmp_path / "before")
    writer.append(intent(1))
    shutil.copytree(
        tmp_path / "before", tmp_path / "after", ignore=lambda *_: {"journal.sqlite-shm"}
    )
    writer.close()
    after = sqlite_journal(tmp_path / "after")
    with (
        under_limit(resource.RLIMIT_FSIZE, 0),
        pytest.raises(DurabilityError, match="cannot be read"),
    ):
        after.rows()
    assert [row.record for row in after.rows()] == [intent(1)]
