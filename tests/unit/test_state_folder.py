"""The folder of both files is written once, and is a git repository where there is git."""

from __future__ import annotations

import resource
import subprocess
from typing import TYPE_CHECKING

import pytest

from reconciler.config.state_folder import GitStateFolder
from reconciler.errors import Refused, Unreachable
from tests.faults import under_limit

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"desired.yaml": "version: 1\n", "inventory.yaml": "version: 1\n", "a.service": "[Unit]\n"}


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *words],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.mark.parametrize("made", [True, False])
def test_the_folder_becomes_a_repository_with_one_commit(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "stack"
    if made:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
    assert GitStateFolder(folder).begin(FILES) == "committed to git"
    assert {name: (folder / name).read_text() for name in FILES} == FILES
    assert git(folder, "log", "--format=%an %s") == "reconciler init What this machine serves"
    assert git(folder, "ls-files").split() == sorted(FILES)


def test_a_repository_that_is_there_gets_a_commit_of_its_owner(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.email", "ann@example.org")
    git(tmp_path, "config", "user.name", "Ann")
    (tmp_path / "other.txt").write_text("mine")
    git(tmp_path, "add", "other.txt")
    assert GitStateFolder(tmp_path).begin(FILES) == "committed to git"
    assert git(tmp_path, "log", "--format=%an") == "Ann"
    assert git(tmp_path, "status", "--short") == "A  other.txt"


@pytest.mark.parametrize(
    "there", [["desired.yaml"], ["inventory.yaml"], ["desired.yaml", "inventory.yaml"]]
)
def test_files_that_are_there_are_named_and_kept(tmp_path: Path, there: list[str]) -> None:
    for name in there:
        (tmp_path / name).write_text("mine")
    with pytest.raises(
        Refused, match=f"holds {' and '.join(there)} already, and nothing was written"
    ):
        GitStateFolder(tmp_path).begin(FILES)
    assert sorted(path.name for path in tmp_path.iterdir()) == there


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(Refused, match="is not a directory"):
        GitStateFolder(tmp_path / "x").refuse_taken()


def test_without_git_the_files_are_written_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert GitStateFolder(tmp_path / "stack").begin(FILES).startswith("git is not installed")
    assert sorted(path.name for path in (tmp_path / "stack").iterdir()) == sorted(FILES)


def test_a_git_that_refuses_is_quoted(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("nonsense")
    said = GitStateFolder(tmp_path).begin(FILES)
    assert said.startswith("git did not commit them (fatal: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".git", *FILES])


def test_a_disk_that_takes_the_first_file_only_is_left_with_none(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    files = {"desired.yaml": "", "inventory.yaml": "version: 1\n"}
    refusal = pytest.raises(Unreachable, match=r"nothing was written: .*inventory.yaml")
    with under_limit(resource.RLIMIT_FSIZE, 4), refusal as refused:
        GitStateFolder(folder).begin(files)
    assert refused.value.exit_code == 1
    assert list(folder.iterdir()) == []


def test_a_folder_whose_name_is_too_long_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="File name too long"):
        GitStateFolder(tmp_path / ("x" * 300)).begin(FILES)
