"""A rewritten file is the file that it was: owner, group, mode, ACL, labels, names, mounts."""

from __future__ import annotations

import errno
import os
import stat
import struct
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from reconciler.edge import atomic
from reconciler.errors import WriteFailed
from tests.needs import Wanting, need_root, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD, NEW = b"version: 1\nactive: one\n", b"version: 1\n"
NOBODY = 65534
ACL = "system.posix_acl_access"


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Return an ACL as the kernel has it: version 2, then tag, permissions and id of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


UNNAMED = 0xFFFFFFFF
SHARED = acl((1, 6, UNNAMED), (2, 6, 1000), (4, 4, UNNAMED), (16, 6, UNNAMED), (32, 0, UNNAMED))
"""The owner writes, and so does the user 1000; the group reads."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "desired.yaml"
    path.write_bytes(OLD)
    return path


def labelled(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        raise Wanting(
            f"a file system that keeps {name}", f"{error.strerror}; set TMPDIR to another"
        ) from error


def seen(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@pytest.mark.parametrize(
    ("number", "do"),
    [
        (errno.ENOSPC, "free space or fix the permissions"),
        (errno.EROFS, "mount it for writing"),
        (errno.EFBIG, "`ulimit -f`"),
    ],
)
def test_what_to_do_about_a_write_goes_by_what_the_system_said(number: int, do: str) -> None:
    assert do in atomic.remedy(OSError(number, os.strerror(number)))


def test_owner_group_and_mode_stay_through_a_link(file: Path, tmp_path: Path) -> None:
    need_root()
    os.chown(file, NOBODY, NOBODY - 1)
    file.chmod(0o640)
    (tmp_path / "link.yaml").symlink_to(file.name)
    assert atomic.rewrite(tmp_path / "link.yaml", NEW) == ()
    assert seen(file) == (NOBODY, NOBODY - 1, 0o640)
    assert (tmp_path / "link.yaml").is_symlink()
    assert file.read_bytes() == NEW


@pytest.mark.parametrize(("name", "value"), [("user.origin", b"etc"), (ACL, SHARED)])
def test_acl_and_labels_stay(file: Path, name: str, value: bytes) -> None:
    labelled(file, name, value)
    inode = file.stat().st_ino
    assert atomic.rewrite(file, NEW) == ()
    assert os.getxattr(file, name) == value
    assert file.stat().st_ino != inode


def test_what_a_folder_gives_to_new_files_is_not_given_to_an_old_one(
    file: Path, tmp_path: Path
) -> None:
    labelled(tmp_path, "system.posix_acl_default", SHARED)
    assert atomic.rewrite(file, NEW) == ()
    assert ACL not in os.listxattr(file)


def test_a_file_of_two_names_keeps_both(file: Path, tmp_path: Path) -> None:
    (tmp_path / "dotfiles.yaml").hardlink_to(file)
    assert atomic.rewrite(file, NEW) == ()
    assert (tmp_path / "dotfiles.yaml").read_bytes() == NEW


@contextmanager
def mounted(source: Path, target: Path) -> Iterator[None]:
    done = subprocess.run(
        [program("mount"), "--bind", str(source), str(target)], capture_output=True, check=False
    )
    if done.returncode:
        raise Wanting("the right to mount", "`sudo make test` has it")
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)  # noqa: S607


def test_a_file_that_is_mounted_by_itself_is_written_where_it_is(
    file: Path, tmp_path: Path
) -> None:
    source = tmp_path / "volume.yaml"
    source.write_bytes(OLD)
    with mounted(source, file):
        assert atomic.rewrite(file, NEW) == ()
        assert source.read_bytes() == NEW
    assert sorted(path.name for path in tmp_path.iterdir()) == ["desired.yaml", "volume.yaml"]


def forbidden(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_a_file_that_could_not_be_made_alike_is_written_where_it_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.chmod(0o664)
    monkeypatch.setattr(os, "fchmod", forbidden)
    inode = file.stat().st_ino
    assert atomic.rewrite(file, NEW) == ()
    assert (file.stat().st_ino, file.read_bytes()) == (inode, NEW)


def test_what_can_only_be_written_anew_loses_what_may_not_be_set_and_says_so(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled(file, "user.origin", b"etc")
    monkeypatch.setattr(os, "setxattr", forbidden)
    monkeypatch.setattr(atomic, "_overwrite", forbidden)
    assert atomic.rewrite(file, NEW) == ("user.origin",)
    assert file.read_bytes() == NEW


@pytest.mark.parametrize("short", [True, False])
def test_what_cannot_be_written_whole_is_as_before(
    file: Path, monkeypatch: pytest.MonkeyPatch, *, short: bool
) -> None:
    true, room = os.pwrite, [3]

    def full(descriptor: int, content: bytes, offset: int) -> int:
        """Write a few bytes, then nothing of what is new."""
        if content == OLD[offset:]:
            return true(descriptor, content, offset)
        if short and room:
            return true(descriptor, content[: room.pop()], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    file.with_name("other").hardlink_to(file)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(
        WriteFailed, match=r"desired.yaml cannot be written: No space left on device; free space"
    ):
        atomic.rewrite(file, NEW + b"# " + OLD)
    assert file.read_bytes() == OLD


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(WriteFailed, match="No such file or directory"):
        atomic.rewrite(tmp_path / "desired.yaml", NEW)
    assert list(tmp_path.iterdir()) == []


def test_where_the_disk_is_full_nothing_is_touched(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteFailed, match="No space left on device"):
        atomic.rewrite(file, NEW)
    assert file.read_bytes() == OLD
    assert list(file.parent.iterdir()) == [file]


def test_a_file_system_without_attributes_has_none(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: object) -> list[str]:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", none)
    assert atomic.rewrite(file, NEW) == ()
    assert file.read_bytes() == NEW


def test_attributes_that_cannot_be_read_are_not_lost_in_silence(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "listxattr", forbidden)
    with pytest.raises(WriteFailed, match="Operation not permitted"):
        atomic.rewrite(file, NEW)
    assert file.read_bytes() == OLD
