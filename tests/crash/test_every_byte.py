"""Whatever befalls the journal's bytes, it opens as what was written and promised, or not."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.core.retention import Retention
from reconciler.errors import JournalDamaged
from reconciler.model.records import Record, Row, StepDone, StepIntent
from reconciler.store.journal_file import JournalFile
from tests.clocks import StoppedClock
from tests.runs import run_opened

COMPLETE = "CRASH_COMPLETE" in os.environ
SAMPLE = 150
DATABASE, LOG, SHARED, HEAD = "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "head"


def sqlite_journal(directory: Path) -> JournalFile:
    return JournalFile(directory, StoppedClock(), Retention(runs=2))


def intent(number: int) -> StepIntent:
    return StepIntent(host="local", run=1, number=number, step="shutdown", in_doubt="irreversible")


def done(number: int) -> StepDone:
    return StepDone(host="local", run=1, number=number, step="start", outcome="done")


def closed_journal(directory: Path) -> None:
    """Write a journal whose last connection was closed: its rows all stand in the database file."""
    journal = sqlite_journal(directory)
    for number in range(8):
        journal.append(intent(number))


def shortened_journal(directory: Path) -> None:
    """Write a journal that has forgotten rows, and restated what they said of another host."""
    journal = sqlite_journal(directory)
    for host in ("den", "box", "box", "box"):
        journal.append(run_opened(host))


def thinned_journal(directory: Path) -> None:
    """Write a journal that has forgotten rows between others, which still say the same."""
    journal = JournalFile(directory, StoppedClock(), Retention(passing=2, slack=0.0))
    for _ in range(4):
        journal.append(run_opened("box"))


def killed_journal(directory: Path) -> None:
    """Write what a killed writer leaves: rows in database and log, two of them beyond the head."""
    written: list[Record] = [*map(intent, range(4)), done(5), done(6)]
    before = directory.with_name("before")
    journal = sqlite_journal(before)
    journal.append(run_opened("local"))
    with closing(sqlite3.connect(before / DATABASE)) as beside:
        beside.execute("SELECT * FROM record").fetchall()
        for record in written:
            journal.append(record)
        shutil.copytree(before, directory)


WRITERS = {
    "closed": closed_journal,
    "shortened": shortened_journal,
    "thinned": thinned_journal,
    "killed": killed_journal,
}
CASES = [
    ("closed", DATABASE), ("closed", HEAD), ("shortened", DATABASE), ("shortened", HEAD),
    ("thinned", DATABASE), ("thinned", HEAD),
    ("killed", DATABASE), ("killed", LOG), ("killed", SHARED), ("killed", HEAD),
]  # fmt: skip


def flipped(content: bytes, at: int, bit: int) -> bytes:
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


def damages(content: bytes, how: str, seed: str) -> Iterator[tuple[int, bytes]]:
    """Places and the content damaged there: all of them only under `make crash`."""
    chance = random.Random(seed)  # noqa: S311 - a seed that can be said again
    places = len(content) if COMPLETE and SHARED not in seed else min(len(content), SAMPLE)
    for at in chance.sample(range(len(content)), places):
        yield at, flipped(content, at, chance.randrange(8)) if how == "flip" else content[:at]


def opening(directory: Path) -> tuple[Sequence[Row], str]:
    """Return the rows that a journal opens with, or what it says instead."""
    try:
        return sqlite_journal(directory).rows(), ""
    except JournalDamaged as damaged:
        return (), damaged.message


@pytest.mark.parametrize(("writer", "name"), CASES)
@pytest.mark.parametrize("how", ["flip", "cut"])
def test_any_damage_opens_as_what_was_written_and_promised_or_not_at_all(
    tmp_path: Path, writer: str, name: str, how: str
) -> None:
    WRITERS[writer](tmp_path / "good")
    good = sqlite_journal(tmp_path / "good").rows()
    promised = json.loads((tmp_path / "good" / HEAD).read_bytes())["seq"]
    for at, content in damages(
        (tmp_path / "good" / name).read_bytes(), how, f"{writer} {name} {how}"
    ):
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "good", copy)
        (copy / name).write_bytes(content)
        opened, refusal = opening(copy)
        if refusal:
            assert f"mv {copy} {copy}.damaged" in refusal
        else:
            assert opened == good[: len(opened)], f"{how} at byte {at} of {name}"
            assert opened[-1].seq >= promised, f"{how} at byte {at} of {name}"
        shutil.rmtree(copy)


def test_a_killed_writer_leaves_rows_in_the_log_that_all_open(tmp_path: Path) -> None:
    killed_journal(tmp_path / "good")
    assert (tmp_path / "good" / LOG).stat().st_size > 0
    assert [row.seq for row in sqlite_journal(tmp_path / "good").rows()] == [1, 2, 3, 4, 5, 6, 7]
    assert json.loads((tmp_path / "good" / HEAD).read_bytes())["seq"] == 5


@pytest.mark.parametrize("left", ["with its shared memory", "after a reboot"])
def test_what_a_torn_log_has_kept_of_the_newest_rows_is_gone_on_from(
    tmp_path: Path, left: str
) -> None:
    killed_journal(tmp_path / "good")
    good = sqlite_journal(tmp_path / "good").rows()
    if left == "after a reboot":
        (tmp_path / "good" / SHARED).unlink()
    log = tmp_path / "good" / LOG
    log.write_bytes(log.read_bytes()[:-1])
    journal = sqlite_journal(tmp_path / "good")
    assert journal.rows() == good[:-1]
    written = journal.append(done(7))
    assert sqlite_journal(tmp_path / "good").rows() == (*good[:-1], written)
