"""What `apply_from` lets be applied: the files as saved, committed, or signed by a known key."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.needs import program
from tests.pairs import DESIRED, source
from tests.repository import git, repository

if TYPE_CHECKING:
    from pathlib import Path


def objection(state: Path) -> str:
    return source(state, (state / "desired.yaml").read_text()).read().provenance.objection


def asking(directory: Path, apply_from: str) -> Path:
    """Return a state directory whose desired.yaml asks for commits."""
    source(directory, f"{DESIRED}apply_from: {apply_from}\n")
    return directory


def changed(state: Path) -> None:
    with (state / "desired.yaml").open("a") as file:
        file.write("description: changed\n")


def signing(state: Path, *, known: bool = True) -> None:
    """Let commits be signed with a new ssh key that git knows, or not, as somebody's."""
    key, signers = state / "key", state / "signers"
    subprocess.run(
        [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)],
        check=True,
    )
    signers.write_text(f"ana@example.org {key.with_suffix('.pub').read_text()}" if known else "")
    settings = {
        "gpg.format": "ssh",
        "user.signingkey": str(key),
        "gpg.ssh.allowedSignersFile": str(signers),
    }
    for name, value in settings.items():
        git(state, "config", name, value)
    git(state, "commit", "-q", "--allow-empty", "-S", "-m", "Signed")


def test_files_as_saved_are_applied_wherever_they_are(tmp_path: Path) -> None:
    assert objection(asking(tmp_path, "saved")) == ""
    repository(tmp_path)
    changed(tmp_path)
    assert objection(tmp_path) == ""


@pytest.mark.parametrize("apply_from", ["committed", "signed"])
def test_files_that_are_in_no_repository_are_not_applied(tmp_path: Path, apply_from: str) -> None:
    said = objection(asking(tmp_path, apply_from))
    assert said.startswith(
        f"desired.yaml says `apply_from: {apply_from}`, but no git repository answers for both"
        " files"
    )
    assert "commit desired.yaml and inventory.yaml, or write `saved` there" in said


@pytest.mark.parametrize("apply_from", ["committed", "signed"])
def test_files_that_were_never_committed_are_not_applied(tmp_path: Path, apply_from: str) -> None:
    git(asking(tmp_path, apply_from), "init", "-q")
    assert "git has no commit of desired.yaml and inventory.yaml; add and commit both" in objection(
        tmp_path
    )


@pytest.mark.parametrize("apply_from", ["committed", "signed"])
@pytest.mark.parametrize("staged", [True, False])
def test_files_that_changed_since_their_commit_are_not_applied(
    tmp_path: Path, apply_from: str, staged: bool
) -> None:
    commit = repository(asking(tmp_path, apply_from))
    changed(tmp_path)
    if staged:
        git(tmp_path, "add", ".")
    assert f"is not as in commit {commit[:7]}; commit what changed" in objection(tmp_path)


def test_files_as_committed_are_applied_however_they_were_signed(tmp_path: Path) -> None:
    repository(asking(tmp_path, "committed"))
    assert objection(tmp_path) == ""


def test_a_commit_without_a_signature_is_not_applied_where_one_is_asked_for(tmp_path: Path) -> None:
    commit = repository(asking(tmp_path, "signed"))
    said = objection(tmp_path)
    assert f"git does not vouch for commit {commit[:7]}; sign it (`git commit -S`)" in said
    assert f"`git verify-commit {commit[:7]}` says why" in said


def test_a_commit_that_is_signed_by_a_key_git_knows_is_applied(tmp_path: Path) -> None:
    repository(asking(tmp_path, "signed"))
    signing(tmp_path)
    assert objection(tmp_path) == ""
    changed(tmp_path)
    assert "is not as in commit" in objection(tmp_path)


def test_a_commit_that_is_signed_by_a_stranger_is_not_applied(tmp_path: Path) -> None:
    repository(asking(tmp_path, "signed"))
    signing(tmp_path, known=False)
    assert "git does not vouch for commit" in objection(tmp_path)


def test_a_commit_that_was_changed_after_it_was_signed_is_not_applied(tmp_path: Path) -> None:
    repository(asking(tmp_path, "signed"))
    signing(tmp_path)
    forged = git(tmp_path, "cat-file", "commit", "HEAD").replace("\n\nSigned", "\n\nForged") + "\n"
    (tmp_path / "forged").write_text(forged)
    commit = git(tmp_path, "hash-object", "-t", "commit", "-w", "forged")
    git(tmp_path, "update-ref", "HEAD", commit)
    assert "git does not vouch for commit" in objection(tmp_path)


def test_a_machine_without_git_applies_nothing_that_must_be_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(asking(tmp_path, "committed"))
    monkeypatch.setenv("PATH", os.devnull)
    assert (
        objection(tmp_path)
        == "desired.yaml says `apply_from: committed`, but git is not installed here, or not on the"
        " PATH of this process; install it"
    )
