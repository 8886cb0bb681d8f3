"""Room for slots on a host: what goes first, what is kept, and why nothing can be written."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.running import ok
from tests.slot_files import TOKENS, ask, names, saved, seal, slot_content

if TYPE_CHECKING:
    from pathlib import Path


def room(directory: Path, needed: int, budget: int, *keep: str, spare: int = 0) -> dict[str, Any]:
    return ask(directory, "room", needed=needed, budget=budget, keep=keep, spare=spare)


def test_room_deletes_leftovers_then_the_oldest_but_never_what_is_kept(tmp_path: Path) -> None:
    size = len(slot_content(TOKENS))
    for number in range(4):
        ok(seal(tmp_path, f"s{number}", slot=number, saved_at=number))
    (tmp_path / "slots/x.tmp").write_text("x")
    (tmp_path / "slots/notes.txt").write_text("x")
    assert ok(room(tmp_path, size, 4 * size, "s0"))["removed"] == ["x.tmp", "s1"]
    assert names(tmp_path) == {
        name for file in ("s0", "s2", "s3") for name in (file, f"{file}.slot.json")
    } | {"notes.txt"}


def test_more_room_is_made_where_that_is_possible_and_what_just_fits_is_not_refused(
    tmp_path: Path,
) -> None:
    size = len(slot_content(TOKENS))
    for number in range(3):
        ok(seal(tmp_path, f"s{number}", slot=number, saved_at=float(number)))
    assert ok(room(tmp_path, size, 4 * size, spare=size))["removed"] == ["s0"]
    assert ok(room(tmp_path, size, 3 * size, "s2", spare=9 * size))["removed"] == ["s1"]
    assert ok(room(tmp_path, 2 * size, 3 * size, "s2", spare=size))["removed"] == []


def test_what_files_hold_is_told_with_their_folder_because_it_could_be_made_free(
    tmp_path: Path,
) -> None:
    size = len(slot_content(TOKENS))
    ok(seal(tmp_path, "a", slot=0))
    ok(seal(tmp_path, "b", slot=1))
    (tmp_path / "slots/x.tmp").write_text("leftover")
    found = saved(tmp_path)
    assert (found.held_bytes, found.folder) == (2 * size + len("leftover"), str(tmp_path / "slots"))
    assert ok(room(tmp_path, 2 * size, 2 * size))["removed"] == ["x.tmp", "a", "b"]


@pytest.mark.parametrize(
    ("disk", "closed", "why"),
    [
        ({"f_flag": os.ST_RDONLY}, set(), "read-only"),
        ({"f_favail": 0}, set(), "no files"),
        ({}, {os.W_OK}, "another's"),
        ({}, {os.W_OK, os.X_OK}, "closed"),
        ({"f_files": 0, "f_favail": 0}, set(), ""),
    ],
)
def test_why_nothing_can_be_written_is_told_also_before_the_folder_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    disk: dict[str, int],
    closed: set[int],
    why: str,
) -> None:
    usual = {
        "f_flag": 0,
        "f_files": 9,
        "f_favail": 9,
        "f_frsize": 1,
        "f_bavail": 9,
        "f_blocks": 9,
        "f_bfree": 9,
    }
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**usual | disk))
    monkeypatch.setattr(os, "access", lambda _, mode: mode not in closed)
    for above in (tmp_path, tmp_path / "slots"):
        found = saved(tmp_path)
        assert (found.obstacle, found.nearest) == (why, str(above))
        (tmp_path / "slots").mkdir(exist_ok=True)


def test_room_is_made_where_the_folder_was_deleted(tmp_path: Path) -> None:
    assert ok(room(tmp_path, 1, 10**6))["removed"] == []
    assert (tmp_path / "slots").stat().st_mode & 0o777 == 0o700


def test_room_that_cannot_be_made_deletes_nothing(tmp_path: Path) -> None:
    size = len(slot_content(TOKENS))
    ok(seal(tmp_path, "a"))
    before = names(tmp_path)
    assert "or make space" in room(tmp_path, size + 1, size)["error"]
    assert "or make space" in room(tmp_path, size, size, "a")["error"]
    assert "or make space" in room(tmp_path, 2**60, 2**61)["error"]
    assert names(tmp_path) == before


def test_damaged_slots_are_the_first_to_go(tmp_path: Path) -> None:
    ok(seal(tmp_path, "a", slot=0))
    ok(seal(tmp_path, "b", slot=1))
    (tmp_path / "slots/b.slot.json").write_text("{")
    assert ok(room(tmp_path, 1, 10**6))["removed"] == ["b.slot.json", "b"]
