"""The id of a controller is made once, by who acts, and found again wherever it was kept."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from reconciler.errors import JournalDamaged, Unreachable
from reconciler.fakes.journal import MemoryJournal
from reconciler.model.records import Claimed, Row
from reconciler.store.controller_id import ControllerId
from tests.clocks import StoppedClock


def made(folder: Path, fresh: str, journal: MemoryJournal | None = None) -> ControllerId:
    return ControllerId(
        folder / "controller", (journal or MemoryJournal(StoppedClock())).rows, lambda: fresh
    )


def test_who_only_looks_writes_nothing(tmp_path: Path) -> None:
    assert made(tmp_path, "a" * 32).text == "a" * 32
    assert list(tmp_path.iterdir()) == []


def test_an_id_that_was_kept_is_the_same_ever_after(tmp_path: Path) -> None:
    made(tmp_path, "a" * 32).keep()
    again = made(tmp_path, "b" * 32)
    again.keep()
    assert again.text == "a" * 32
    assert stat.S_IMODE((tmp_path / "controller").stat().st_mode) == 0o600


def test_an_id_is_one_for_as_long_as_a_process_runs(tmp_path: Path) -> None:
    numbers = iter("abcdef")
    identity = ControllerId(
        tmp_path / "controller", MemoryJournal(StoppedClock()).rows, lambda: next(numbers) * 32
    )
    assert identity.text == identity.text


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../../etc", b"a" * 4000, b"A1"])
def test_a_file_that_is_lost_or_damaged_is_replaced_by_what_the_journal_says(
    tmp_path: Path, content: bytes
) -> None:
    journal = MemoryJournal(StoppedClock())
    for name in ("c" * 32, "d" * 32):
        journal.append(Claimed(host="tower", controller=name, name="nas", directory="/data"))
    (tmp_path / "controller").write_bytes(content)
    found = made(tmp_path, "a" * 32, journal)
    found.keep()
    assert found.text == "d" * 32
    assert (tmp_path / "controller").read_text() == "d" * 32 + "\n"


def test_a_damaged_journal_is_for_others_to_tell_of(tmp_path: Path) -> None:
    def rows() -> Iterable[Row]:
        raise JournalDamaged("flipped")

    assert ControllerId(tmp_path / "controller", rows, lambda: "a" * 32).text == "a" * 32


def test_an_id_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unreachable, match="controller cannot be written.*Nothing was done"):
        made(tmp_path / "file", "a" * 32).keep()
