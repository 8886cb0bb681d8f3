"""Whatever happens to the journal's bytes: what opens is what was written, or nothing is done."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from reconciler.errors import JournalDamaged
from reconciler.model.records import StepIntent
from reconciler.store.journal import SqliteJournal
from tests.clocks import StoppedClock

COMPLETE = "CRASH_COMPLETE" in os.environ
PLACES = 10**9 if COMPLETE else 400


def sqlite_journal(directory: Path) -> SqliteJournal:
    return SqliteJournal(directory, StoppedClock(), "boot")


def intent(number: int) -> StepIntent:
    return StepIntent(host="local", run=1, number=number, step="shutdown", in_doubt="irreversible")


def flipped(content: bytes, at: int, bit: int) -> bytes:
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


@pytest.mark.parametrize("name", ["journal.sqlite", "head"])
@pytest.mark.parametrize("how", ["flip", "cut"])
def test_any_damage_opens_as_what_was_written_or_not_at_all(tmp_path: Path, name: str, how: str) -> None:
    journal = sqlite_journal(tmp_path / "good")
    for number in range(8):
        journal.append(intent(number))
    good = journal.rows()
    content = (tmp_path / "good" / name).read_bytes()
    chance = random.Random(f"{name} {how}")  # noqa: S311 - a seed that can be said again
    places = chance.sample(range(len(content)), min(len(content), PLACES))
    for at in places:
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "good", copy)
        (copy / name).write_bytes(flipped(content, at, chance.randrange(8)) if how == "flip" else content[:at])
        try:
            opened = sqlite_journal(copy).rows()
        except JournalDamaged:
            opened = good
        assert opened == good, f"{how} at byte {at} of {name}"
        shutil.rmtree(copy)
