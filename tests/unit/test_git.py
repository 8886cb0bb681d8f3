from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.config.git import blob_id, commit, half_way, is_signed, trace, traces
from reconciler.config.source import FileSource
from reconciler.errors import Unreachable
from reconciler.fakes.catalog import FakeCatalog
from tests.needs import need_root
from tests.pairs import source, wanted
from tests.repository import IDENTITY, git

if TYPE_CHECKING:
    from reconciler.model.target import Provenance


def committed(directory: Path, *words: str) -> Path:
    """Return a state directory inside a new repository, with both files committed."""
    directory.mkdir(exist_ok=True)
    git(directory, "init", "-q", *words)
    state = directory / "state"
    state.mkdir()
    source(state)
    git(directory, "add", ".")
    git(directory, "commit", "-qm", "Run the small model")
    return state


def provenance(state: Path) -> Provenance:
    return FileSource(state, FakeCatalog()).read().provenance


@pytest.mark.parametrize("words", [(), ("--object-format=sha256",)], ids=["sha1", "sha256"])
def test_files_as_committed_are_committed(tmp_path: Path, words: tuple[str, ...]) -> None:
    state = committed(tmp_path, *words)
    seen = provenance(state)
    assert (seen.state, seen.commit) == ("committed", git(tmp_path, "rev-parse", "HEAD"))
    assert (seen.author, seen.subject) == ("Ana [31m", "Run the small model")


def test_the_last_commit_that_touched_the_pair_is_told(tmp_path: Path) -> None:
    state = committed(tmp_path)
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "Something else")
    assert (provenance(state).subject, provenance(state).commit) == (
        "Run the small model",
        git(tmp_path, "rev-parse", "HEAD"),
    )


def test_changed_bytes_are_modified_whether_or_not_they_are_staged(tmp_path: Path) -> None:
    state = committed(tmp_path)
    assert wanted(state, "version: 1\nactive: large\n").provenance.state == "modified"
    git(tmp_path, "add", ".")
    assert provenance(state).state == "modified"


def test_bytes_are_judged_as_they_were_read(tmp_path: Path) -> None:
    state = committed(tmp_path)
    paths = [state / "desired.yaml", state / "inventory.yaml"]
    read = {path: path.read_bytes() for path in paths}
    paths[0].write_text("version: 1\nactive: large\n")
    assert trace(read).state == "committed"
    assert trace({path: path.read_bytes() for path in paths}).state == "modified"


def test_a_file_that_git_does_not_know_is_untracked(tmp_path: Path) -> None:
    state = committed(tmp_path)
    git(tmp_path, "rm", "-q", "--cached", "state/desired.yaml")
    git(tmp_path, "commit", "-qm", "Forget it")
    assert provenance(state).state == "untracked"


def test_a_repository_without_commits_knows_no_file(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    source(tmp_path)
    seen = provenance(tmp_path)
    assert (seen.state, seen.commit) == ("untracked", "")


def test_a_directory_outside_git_is_no_error(tmp_path: Path) -> None:
    assert wanted(tmp_path).provenance.state == "not in git"


def test_a_machine_without_git_is_no_error_and_says_so_where_there_is_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = committed(tmp_path / "kept")
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = provenance(state)
    assert (seen.state, seen.trouble) == (
        "not in git",
        "git is not installed here, or not on the PATH of this process; install it",
    )
    assert str(seen).endswith("(git does not answer)")
    assert wanted(tmp_path).provenance.trouble == ""


def test_line_ends_that_git_converts_are_no_change(tmp_path: Path) -> None:
    state = committed(tmp_path)
    path = state / "desired.yaml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert provenance(state).state == "modified"
    git(tmp_path, "config", "core.autocrlf", "true")
    assert provenance(state).state == "committed"


def test_the_environment_of_a_calling_git_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = committed(tmp_path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert provenance(state).state == "committed"


def test_hooks_and_filters_of_the_index_do_not_run(tmp_path: Path) -> None:
    state = committed(tmp_path)
    hook = tmp_path / "monitor"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(hook))
    assert provenance(state).state == "committed"
    assert not (tmp_path / "ran").exists()


def test_a_link_is_traced_to_the_file_that_was_read(tmp_path: Path) -> None:
    state = committed(tmp_path)
    elsewhere = tmp_path / "run"
    elsewhere.mkdir()
    for name in ("desired.yaml", "inventory.yaml"):
        (elsewhere / name).symlink_to(state / name)
    assert provenance(elsewhere).state == "committed"


def test_a_link_out_of_the_repository_is_not_in_git(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    state = committed(repository)
    (state / "inventory.yaml").rename(tmp_path / "inventory.yaml")
    (state / "inventory.yaml").symlink_to(tmp_path / "inventory.yaml")
    assert provenance(state).state == "not in git"


def test_an_unsigned_commit_is_not_signed(tmp_path: Path) -> None:
    committed(tmp_path)
    assert not is_signed(tmp_path, git(tmp_path, "rev-parse", "HEAD"))


SIGNS_AND_VOUCHES = """\
#!/bin/sh
case "$*" in
  *--verify*) cat > /dev/null
     echo "[GNUPG:] NEWSIG"; echo "[GNUPG:] GOODSIG 0 Ana"; echo "[GNUPG:] VALIDSIG 0" ;;
  *) cat > /dev/null; echo "[GNUPG:] SIG_CREATED D" >&2
     printf -- "-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n" ;;
esac
"""


def test_a_commit_that_git_vouches_for_is_signed(tmp_path: Path) -> None:
    committed(tmp_path)
    signer = tmp_path / "signer"
    signer.write_text(SIGNS_AND_VOUCHES)
    signer.chmod(0o755)
    git(tmp_path, "config", "gpg.program", str(signer))
    git(tmp_path, "commit", "-q", "--allow-empty", "-S", "-m", "Signed")
    assert is_signed(tmp_path, git(tmp_path, "rev-parse", "HEAD"))


def test_blob_ids_are_those_of_git(tmp_path: Path) -> None:
    assert blob_id(b"", 40) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    git(tmp_path, "init", "-q", "--object-format=sha256")
    (tmp_path / "a").write_bytes(b"content")
    assert blob_id(b"content", 64) == git(tmp_path, "hash-object", "a")


def test_a_commit_takes_the_one_file_and_a_second_one_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = committed(tmp_path)
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    for file in ("desired.yaml", "inventory.yaml"):
        (state / file).write_text((state / file).read_text() + "# more\n")
    for _ in range(2):
        commit(state / "desired.yaml", "active: a")
    assert git(tmp_path, "log", "--format=%s") == "active: a\nRun the small model"
    assert git(tmp_path, "status", "--porcelain") == "M state/inventory.yaml"


def test_a_commit_that_git_refuses_says_what_git_said(tmp_path: Path) -> None:
    (tmp_path / "desired.yaml").write_text("version: 1\n")
    with pytest.raises(
        Unreachable, match=r"git did not commit .*not a git repository.*fix what git says"
    ):
        commit(tmp_path / "desired.yaml", "active: a")


def test_a_working_tree_whose_repository_is_elsewhere_is_traced_there(tmp_path: Path) -> None:
    committed(tmp_path / "main")
    git(tmp_path / "main", "worktree", "add", "-q", "../beside")
    folder = tmp_path / "main" / ".git" / "worktrees" / "beside"
    assert {path.parent.resolve() for path in traces(tmp_path / "beside")} == {
        folder,
        folder / "logs",
    }
    assert half_way(tmp_path / "beside") == ""
    seen = provenance(tmp_path / "beside" / "state")
    assert (seen.state, seen.trouble) == ("committed", "")
    (folder / "MERGE_HEAD").touch()
    assert "in the middle of a merge" in half_way(tmp_path / "beside")


def test_a_repository_of_another_user_is_named_in_gits_own_words_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_root()
    monkeypatch.setenv("HOME", str(tmp_path))  # whose own configuration may trust every folder
    state = committed(tmp_path / "it's theirs")
    for path in (tmp_path / "it's theirs").rglob("*"):
        os.chown(path, 65534, 65534)
    os.chown(tmp_path / "it's theirs", 65534, 65534)
    seen = provenance(state)
    assert seen.state == "not in git"
    assert seen.trouble.startswith("git refuses: detected dubious ownership in repository at '")
    named = shlex.quote(str(tmp_path / "it's theirs"))
    assert f"`git config --global --add safe.directory {named}`" in seen.trouble


def test_a_repository_that_is_not_here_is_no_absent_one(tmp_path: Path) -> None:
    committed(tmp_path / "main")
    git(tmp_path / "main", "worktree", "add", "-q", "../beside")
    (tmp_path / "main").rename(tmp_path / "away")
    seen = provenance(tmp_path / "beside" / "state")
    assert seen.state == "not in git"
    assert seen.trouble.startswith("the repository of the files is not here: .git names ")
    assert "main/.git/worktrees/beside" in seen.trouble


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "echo 'fatal: unable to read tree\n(more)' >&2; exit 128",
            "git refuses: unable to read tree; `git -C ",
        ),
        ("exit 3", "git refuses: it says nothing; `git -C "),
        ("exec sleep 60", "git does not answer (TimeoutExpired); `git -C "),
    ],
)
def test_a_question_that_failed_is_no_no(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    state = committed(tmp_path / "kept")
    false = tmp_path / "git"
    false.write_text(f"#!/bin/sh\n{program}\n")
    false.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("reconciler.config.git.GIT_PATIENCE", 0.5)
    assert provenance(state).trouble.startswith(said)


@pytest.mark.parametrize(
    ("trace", "what"),
    [
        ("BISECT_LOG", "a bisect"),
        ("MERGE_HEAD", "a merge"),
        ("rebase-merge", "a rebase"),
        ("index.lock", ""),
    ],
)
def test_what_a_person_has_not_finished_in_git_is_not_applied(
    tmp_path: Path, trace: str, what: str
) -> None:
    state = committed(tmp_path)
    (tmp_path / ".git" / trace).touch()
    seen = provenance(state)
    expected = (
        f"git is in the middle of {what} ({tmp_path}/.git); end that (`git -C {state} status` says"
        " how)"
        if what
        else ""
    )
    assert (seen.trouble, seen.objection, seen.state) == (expected, expected, "committed")
    assert half_way(state) != ""


def test_a_git_file_that_cannot_be_read_names_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    (tmp_path / ".git").write_text("gitdir: elsewhere")
    assert traces(tmp_path)[0].parent == tmp_path / "elsewhere"
    monkeypatch.setattr(Path, "read_text", closed)
    assert traces(tmp_path) == ()
