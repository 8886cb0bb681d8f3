"""Whether a unit may write into a folder is told by its process, and only where that is certain."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from reconciler.onhost import permissions

if TYPE_CHECKING:
    from pathlib import Path

OWN, GROUP, OTHER = os.geteuid(), os.getegid(), 4242
STATUS = (
    "Name:\tserver\nUid:\t0\t0\t0\t{user}\nGid:\t0\t0\t0\t{group}\n"
    "Groups:\t{more}\nCapEff:\t{caps}\n"
)


def barred(tmp_path: Path, mode: int, status: str) -> str:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text(status)
    folder = tmp_path / "kept"
    folder.mkdir()
    folder.chmod(mode)
    return permissions.barred(str(folder), 7, str(tmp_path))


@pytest.mark.parametrize(
    ("mode", "user", "group", "more", "is_barred"),
    [
        (0o700, OWN, OTHER, "", False),
        (0o577, OWN, OTHER, "", True),
        (0o770, OTHER, GROUP, "", False),
        (0o770, OTHER, OTHER, f"1 {GROUP} ", False),
        (0o707, OTHER, GROUP, "", True),
        (0o777, OTHER, OTHER, "", False),
        (0o776, OTHER, OTHER, "", True),
    ],
)
def test_its_account_decides(
    tmp_path: Path, mode: int, user: int, group: int, more: str, is_barred: bool
) -> None:
    status = STATUS.format(user=user, group=group, more=more, caps="0000000000000001")
    folder = tmp_path / "kept"
    said = (
        f"{folder} cannot be written by user {user}, as whom it runs; `chown {user} {folder}` lets"
        " it"
    )
    assert barred(tmp_path, mode, status) == (said if is_barred else "")


@pytest.mark.parametrize(
    "status", ["", STATUS.format(user=OTHER, group=OTHER, more="", caps="00000000a80425fb")]
)
def test_what_may_write_everywhere_or_is_gone_is_not_barred(tmp_path: Path, status: str) -> None:
    assert barred(tmp_path, 0o700, status) == ""


def test_beyond_permission_bits_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = STATUS.format(user=OTHER, group=OTHER, more="", caps="0")
    monkeypatch.setattr(os, "listxattr", lambda _: ["system.posix_acl_access"])
    assert barred(tmp_path, 0o700, status) == ""
    assert permissions.barred(str(tmp_path / "gone"), 7, str(tmp_path)) == ""
