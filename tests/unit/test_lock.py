"""One process acts on a data directory."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.errors import LockHeld, Unreachable
from reconciler.store.lock import FileLock
from tests.faults import under_limit

HOLD = """
import pathlib, sys
from reconciler.store.lock import FileLock
with FileLock(pathlib.Path(sys.argv[1]), "the other one").held():
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_holder_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    first, second = (
        FileLock(tmp_path / "lock", "the first"),
        FileLock(tmp_path / "lock", "the second"),
    )
    with first.held(), pytest.raises(LockHeld, match="the first acts"), second.held():
        pass


def test_the_lock_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as process:
        with (
            pytest.raises(LockHeld, match="the other one"),
            FileLock(tmp_path / "lock", "me").held(),
        ):
            pass
        process.kill()
        process.wait()
    with FileLock(tmp_path / "lock", "me").held():
        assert (tmp_path / "lock").read_text().splitlines() == ["me"]


def test_a_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock", "me").held():
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        )
    with child, FileLock(tmp_path / "lock", "again").held():
        assert child.poll() is None
        child.kill()


def test_a_lock_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(Unreachable, match="--data"),
        FileLock(tmp_path / "file" / "lock", "me").held(),
    ):
        pass


def test_a_folder_in_the_place_of_the_lock_is_said(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with (
        pytest.raises(Unreachable, match="lock cannot be opened: Is a directory; .*--data"),
        FileLock(tmp_path / "lock", "me").held(),
    ):
        pass


@pytest.mark.parametrize(
    ("limit", "value", "way"),
    [(resource.RLIMIT_FSIZE, 0, "ulimit -f"), (resource.RLIMIT_NOFILE, 3, "ulimit -n")],
)
def test_a_disk_or_a_limit_that_refuses_the_lock_is_said_before_anything_is_done(
    tmp_path: Path, limit: int, value: int, way: str
) -> None:
    with (
        under_limit(limit, value),
        pytest.raises(Unreachable, match=f"{way}.*Nothing was done") as refused,
        FileLock(tmp_path / "lock", "me").held(),
    ):
        pass
    assert refused.value.exit_code == 1
    with FileLock(tmp_path / "lock", "me").held():
        assert (tmp_path / "lock").read_text().splitlines() == ["me"]


def test_a_disk_that_is_full_when_the_lock_is_let_go_fails_nothing_that_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with FileLock(tmp_path / "lock", "me").held():
        monkeypatch.setattr(os, "pwrite", full)


def test_whoever_held_it_leaves_room_for_the_next_one_and_no_name(tmp_path: Path) -> None:
    for name in ("the first, with a long name", "me"):
        with FileLock(tmp_path / "lock", name).held(obeys=True):
            assert (tmp_path / "lock").read_text() == f"{name}\nobeys"
        assert (tmp_path / "lock").read_text().isspace(), "written over, not made smaller"


def test_nobody_is_told_to_wait_for_what_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    for obeys, advice in ((True, "now; stop it"), (False, "; wait for it, or stop it")):
        lock = FileLock(tmp_path / "lock", "me")
        with lock.held(obeys=obeys), pytest.raises(LockHeld, match=f"{advice}$"):
            lock.held().__enter__()


def test_who_acts_is_told_with_the_command_that_stops_it(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock", "reconciler watch (pid 42)")
    said = "watch (pid 42) acts on this data directory now; `kill 42` stops it, and engines keep"
    with lock.held(obeys=True), pytest.raises(LockHeld, match=re.escape(said)):
        lock.held().__enter__()


def test_who_has_no_home_is_told_so_and_nothing_about_the_root_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").mkdir()
    monkeypatch.setattr("reconciler.store.lock.HOMELESS", str(tmp_path))
    said = "HOME is not set: set it, or XDG_STATE_HOME, or --data. Nothing was done"
    with pytest.raises(Unreachable, match=said), FileLock(tmp_path / "lock", "me").held():
        pass
