"""What a journal forgets when a run opens, and what shows that nothing else is gone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from reconciler.core.canonical import digest
from reconciler.core.recovery import fold
from reconciler.core.retention import DAY_SECONDS, Retention
from reconciler.errors import JournalDamaged
from reconciler.model.leasing import Leased, Released
from reconciler.model.records import Carried, Retry, RunClosed, StepDone
from reconciler.store.journal_file import JournalFile
from tests.clocks import StoppedClock
from tests.runs import history, run_opened


def short_journal(directory: Path, clock: StoppedClock | None = None) -> JournalFile:
    return JournalFile(
        directory, clock or StoppedClock(), Retention(runs=2, seconds=DAY_SECONDS, slack=0.0)
    )


def test_of_more_runs_than_are_kept_the_oldest_are_forgotten_when_the_next_one_opens(
    tmp_path: Path,
) -> None:
    journal = short_journal(tmp_path)
    for number in range(5):
        journal.append(run_opened("box", str(number)))
        journal.append(
            StepDone(
                host="box", run=2 * number + 1, number=1, step="start", model="a", outcome="done"
            )
        )
    assert [run["trigger"] for run in history(journal.rows())] == ["3", "4"]
    assert journal.append(Retry(host="box")).seq == 11


def test_a_run_that_never_closed_is_known_and_shown_with_its_steps_when_its_row_is_too_old(
    tmp_path: Path,
) -> None:
    clock = StoppedClock()
    journal = short_journal(tmp_path, clock)
    opened = journal.append(run_opened("box", "first"))
    clock.now += DAY_SECONDS + 1
    step = journal.append(
        StepDone(
            host="box",
            run=opened.seq,
            number=1,
            step="start",
            model="a",
            outcome="done",
            seconds=2.0,
        )
    )
    journal.append(run_opened("den", "second"))
    rows = journal.rows()
    assert [row.seq for row in rows] == [step.seq, 3, 4]
    assert isinstance(rows[1].record, Carried)
    run = fold(rows)["box"].open_run
    assert run is not None
    assert (run.seq, run.at, run.opened) == (opened.seq, opened.at, opened.record)
    first, second = history(rows)
    assert (first["run"], first["trigger"], first["verdict"]) == (opened.seq, "first", "open")
    assert [shown["step"] for shown in first["steps"]] == ["start"]
    assert second["trigger"] == "second"
    journal.append(run_opened("box", "third", continues=opened.seq))
    shown = history(journal.rows())[0]
    assert (shown["verdict"], shown["message"]) == (
        "cut short",
        "run 5 continued from what was there",
    )
    journal.append(RunClosed(host="box", run=opened.seq, verdict="promoted"))
    assert history(journal.rows())[0]["verdict"] == "promoted"


def test_a_writer_that_was_killed_between_forgetting_and_its_head_leaves_a_journal_that_opens(
    tmp_path: Path,
) -> None:
    journal = short_journal(tmp_path)
    journal.append(run_opened("box", "0"))
    older = (tmp_path / "head").read_bytes()
    for number in range(1, 6):
        journal.append(run_opened("box", str(number)))
        rows = journal.rows()
        newer = (tmp_path / "head").read_bytes()
        (tmp_path / "head").write_bytes(older)
        assert short_journal(tmp_path).rows() == rows
        older = newer
        (tmp_path / "head").write_bytes(newer)


def test_an_older_head_may_speak_of_a_row_that_is_forgotten_since(tmp_path: Path) -> None:
    clock = StoppedClock()
    journal = short_journal(tmp_path, clock)
    journal.append(run_opened("box"))
    older = (tmp_path / "head").read_bytes()
    for passed in (0, DAY_SECONDS + 1):
        clock.now += passed
        journal.append(
            StepDone(host="box", run=1, number=1, step="start", model="a", outcome="done")
        )
    journal.append(run_opened("box"))
    (tmp_path / "head").write_bytes(older)
    assert [row.seq for row in short_journal(tmp_path).rows()] == [3, 4, 5]


@pytest.mark.parametrize(
    "loss",
    [
        "DELETE FROM record WHERE seq = 3",
        "DELETE FROM record WHERE seq <= 4",
        "DELETE FROM record WHERE seq > 3",
        "UPDATE record SET seq = 0 WHERE seq = 3",
        "UPDATE record SET digest = '' WHERE seq = 3",
    ],
)
def test_rows_that_are_gone_without_having_been_forgotten_are_seen(
    tmp_path: Path, loss: str
) -> None:
    journal = short_journal(tmp_path)
    for number in range(5):
        journal.append(run_opened("box", str(number)))
    assert [row.seq for row in journal.rows()] == [4, 5]
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute(loss)
    connection.close()
    with pytest.raises(JournalDamaged):
        journal.rows()


def test_nothing_is_forgotten_on_top_of_a_row_that_was_changed(tmp_path: Path) -> None:
    journal = short_journal(tmp_path)
    for number in range(2):
        journal.append(run_opened("box", str(number)))
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("UPDATE record SET host = 'other' WHERE seq = 1")
    before = connection.execute("SELECT * FROM record").fetchall()
    connection.close()
    with pytest.raises(JournalDamaged, match="row 1 is not what was written"):
        journal.append(run_opened("box", "2"))
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        assert connection.execute("SELECT * FROM record").fetchall() == before
    connection.close()


def test_rows_after_one_that_was_forgotten_meanwhile_are_told(tmp_path: Path) -> None:
    reader, writer = short_journal(tmp_path), short_journal(tmp_path)
    writer.append(run_opened("box", "0"))
    assert [row.seq for row in reader.since(0)] == [1]
    for number in range(1, 5):
        writer.append(run_opened("box", str(number)))
    assert [row.seq for row in reader.since(1)] == [4, 5]
    assert [row.seq for row in reader.since(4)] == [5]


def busy_journal(directory: Path) -> JournalFile:
    """Write what a person did, and then what requests caused: of that, two runs may be kept."""
    journal = JournalFile(directory, StoppedClock(), Retention(passing=2, slack=0.0))
    journal.append(run_opened("box", "apply"))
    journal.append(RunClosed(host="box", run=1, verdict="promoted"))
    for _ in range(4):
        lends_and_returns(journal)
    return journal


def lends_and_returns(journal: JournalFile) -> None:
    journal.append(Leased(host="box", model="b", wanted=digest("wish")))
    for mode in ("lease", "forward"):
        row = journal.append(run_opened("box", mode).model_copy(update={"mode": mode}))
        journal.append(StepDone(host="box", run=row.seq, number=1, step="start", outcome="done"))
        journal.append(RunClosed(host="box", run=row.seq, verdict="promoted"))
        if mode == "lease":
            journal.append(Released(host="box", model="b", because="unused"))


def test_runs_for_requests_and_the_ways_back_push_out_nothing_that_a_person_did(
    tmp_path: Path,
) -> None:
    journal = busy_journal(tmp_path)
    before = fold(journal.rows())["box"]
    assert [run["trigger"] for run in history(journal.rows())] == ["apply", "lease", "forward"]
    journal.append(run_opened("box", "another", generation=2))
    shown = history(journal.rows())
    assert [run["trigger"] for run in shown] == ["apply", "forward", "another"]
    assert all(run["steps"] for run in shown[1:2]), "a run is kept whole"
    after = fold(journal.rows())["box"]
    assert (after.last_good_digest, after.judged_at) == (before.last_good_digest, before.judged_at)
    assert len(journal.rows()) < 20


@pytest.mark.parametrize(
    ("loss", "row"),
    [
        ("DELETE FROM record WHERE seq = 2", "row 2"),
        ("DELETE FROM record WHERE kind = 'forgotten'", "row 3"),
        ("UPDATE record SET previous = '' WHERE kind = 'forgotten'", "row 3"),
        ("UPDATE record SET digest = previous WHERE kind = 'forgotten'", "row 27"),
        ("UPDATE record SET seq = 4 WHERE kind = 'forgotten'", "row 5"),
    ],
)
def test_rows_that_are_lost_beside_a_gap_are_seen(tmp_path: Path, loss: str, row: str) -> None:
    busy_journal(tmp_path)
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute(loss)
    connection.close()
    with pytest.raises(JournalDamaged, match=row):
        JournalFile(tmp_path, StoppedClock()).rows()


def test_who_has_read_what_is_forgotten_since_reads_on_what_is_new(tmp_path: Path) -> None:
    writer = busy_journal(tmp_path)
    for read in range(1, 40):
        reader = JournalFile(tmp_path, StoppedClock())
        known = [row.seq for row in reader.since(read)]
        lends_and_returns(writer)
        whole = [row.seq for row in JournalFile(tmp_path, StoppedClock()).rows()]
        assert [row.seq for row in reader.since(read)] == [seq for seq in whole if seq > read]
        assert reader.rows() == writer.rows()
        assert known


def test_the_head_that_a_killed_writer_left_may_name_a_row_in_a_gap(tmp_path: Path) -> None:
    journal = busy_journal(tmp_path)
    older = (tmp_path / "head").read_bytes()
    for _ in range(3):
        lends_and_returns(journal)
        rows, newer = journal.rows(), (tmp_path / "head").read_bytes()
        (tmp_path / "head").write_bytes(older)
        assert JournalFile(tmp_path, StoppedClock()).rows() == rows
        (tmp_path / "head").write_bytes(newer)
        older = newer


def test_all_rows_are_looked_at_once_in_a_while(tmp_path: Path) -> None:
    kept = Retention(runs=40, slack=0.3)
    journal = JournalFile(tmp_path, StoppedClock(), kept)
    opened = []
    for number in range(100):
        journal.append(run_opened("box", str(number)))
        opened.append(len(history(journal.rows())))
    most = kept.runs * (1 + kept.slack)
    assert most < max(opened) <= most + kept.stride
    assert min(opened[opened.index(max(opened)) :]) <= kept.runs
    assert Retention().stride == 10
