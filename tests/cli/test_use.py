"""The daily act: `use` shows what follows, edits one word of desired.yaml, and applies it."""

from __future__ import annotations

import resource
import stat
import subprocess
from pathlib import Path

import pytest

from reconciler.cli.main import main
from reconciler.config.source import FileSource
from reconciler.core.phrases import WAITS
from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.errors import ConfigError, PlanStale, Refused, Unreachable, WriteFailed
from reconciler.store.lock import FileLock
from tests.engine import free_port
from tests.faults import under_limit
from tests.stack import Stack, stack

DESIRED = "# what we serve\nversion: 1\nactive: 'tiny'   # the small one\n"
INVENTORY = """version: 1
models:
  tiny: {engine: {kind: embedded, seed: 1}, port: PORT}
  tinier: {engine: {kind: embedded, seed: 2}, port: PORT}
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "desired.yaml").write_text(DESIRED)
    (folder / "inventory.yaml").write_text(INVENTORY.replace("PORT", str(free_port())))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "host"))
    return folder


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def committed(folder: Path) -> None:
    git(folder, "init", "--quiet", ".")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "begin")


def test_without_a_terminal_the_change_and_its_plan_are_shown_and_nothing_is_written(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", "tinier"]) == 4
    said = capsys.readouterr().err
    assert "-active: 'tiny'   # the small one\n+active: 'tinier'   # the small one" in said
    assert "start          tinier" in said
    assert "there is no terminal to ask for confirmation" in said
    assert (state / "desired.yaml").read_text() == DESIRED


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["tinyer"],
            'the inventory has no model tinyer; it has: tinier, tiny; did you mean "tinier"?',
        ),
        (["tinier", "--host", "tower"], "tinier is a model of local, not of tower"),
    ],
)
def test_a_model_that_is_not_there_is_answered_with_the_nearest(
    state: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", *words]) == 64
    assert said in capsys.readouterr().err
    assert (state / "desired.yaml").read_text() == DESIRED


def test_files_that_are_applied_only_as_committed_are_not_written_without_a_commit(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = DESIRED + "apply_from: committed\n"
    (state / "desired.yaml").write_text(strict)
    committed(state)
    assert main(["use", "tinier", "--yes"]) == 4
    assert "says `apply_from: committed`" in (said := capsys.readouterr().err)
    assert "with --commit the change is committed" in said
    assert (state / "desired.yaml").read_text() == strict


def test_what_could_not_be_done_is_refused_before_it_is_written(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = INVENTORY.replace(
        "kind: embedded, seed: 2", "kind: llamacpp, binary: /nowhere, weights: /nothing.gguf"
    )
    (state / "inventory.yaml").write_text(lost.replace("PORT", str(free_port())))
    assert main(["use", "tinier", "--yes"]) == 4
    assert "Refused: nothing was written: " in capsys.readouterr().err
    assert (state / "desired.yaml").read_text() == DESIRED


def test_a_commit_where_there_is_no_repository_is_refused_before_it_is_written(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(state.parent))
    assert main(["use", "tinier", "--yes", "--commit"]) == 4
    assert (
        "nothing was written: state/desired.yaml is in no git repository" in capsys.readouterr().err
    )
    assert (state / "desired.yaml").read_text() == DESIRED


def test_a_commit_where_git_does_not_answer_is_refused_in_the_words_of_its_trouble(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(state)
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["use", "tinier", "--yes", "--commit"]) == 4
    assert "nothing was written: git is not installed here, or not on the PATH" in (
        said := capsys.readouterr().err
    )
    assert "no git repository" not in said
    assert (state / "desired.yaml").read_text() == DESIRED


def test_nothing_is_written_while_another_command_acts(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FileLock(tmp_path / "host" / "reconciler" / "lock", "reconciler apply (pid 7)").held():
        assert main(["use", "tinier", "--yes"]) == 4
    assert (
        "nothing was written: reconciler apply (pid 7) acts on this data directory now"
        in capsys.readouterr().err
    )
    assert (state / "desired.yaml").read_text() == DESIRED


def test_what_another_wrote_meanwhile_is_not_overwritten(state: Path) -> None:
    proposal = FileSource(state, DriverCatalog("", SystemClock())).propose("tinier", None)
    (state / "desired.yaml").write_text("version: 1\n")
    with pytest.raises(PlanStale, match="changed in the meantime"):
        proposal.write()
    assert (state / "desired.yaml").read_text() == "version: 1\n"


def test_a_link_and_the_mode_of_its_file_stay(state: Path) -> None:
    target = state.parent / "elsewhere.yaml"
    (state / "desired.yaml").rename(target)
    target.chmod(0o664)
    (state / "desired.yaml").symlink_to("../elsewhere.yaml")
    FileSource(state, DriverCatalog("", SystemClock())).propose("tinier", None).write()
    assert (state / "desired.yaml").readlink() == Path("../elsewhere.yaml")
    assert target.read_text() == DESIRED.replace("'tiny'", "'tinier'")
    assert stat.S_IMODE(target.stat().st_mode) == 0o664


def test_what_cannot_be_kept_of_the_file_is_said(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def nothing(*_: object) -> None:
        raise Refused("nothing is applied here")

    monkeypatch.setattr("reconciler.config.proposal.rewrite", lambda *_: ("its owner", "its group"))
    monkeypatch.setattr("reconciler.verbs.apply.run", nothing)
    assert main(["use", "tinier", "--yes"]) == 4
    assert (
        "state/desired.yaml is written, but its owner and its group could not be kept"
        in capsys.readouterr().err
    )
    assert (state / "desired.yaml").read_text() == DESIRED


def test_where_nothing_can_be_written_nothing_was_changed(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_only(path: Path, _: bytes) -> None:
        raise WriteFailed(f"{path} cannot be written: Read-only file system; mount it for writing")

    monkeypatch.setattr("reconciler.config.proposal.rewrite", read_only)
    assert main(["use", "tinier", "--yes"]) == 1
    assert (
        "nothing was changed: state/desired.yaml cannot be written: Read-only file system"
        in capsys.readouterr().err
    )
    assert (state / "desired.yaml").read_text() == DESIRED


def test_a_switch_is_one_command_that_is_committed_applied_and_said_again(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        committed(made.folder / "state")
        identity = {
            f"GIT_{role}_{what}": "t@localhost"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        done = made.run("use", "tiny-b", "--yes", "--commit", **identity)
        assert done.returncode == 0, done.stderr
        assert set(made.engines()) == {"tiny-b"}
        assert git(made.folder / "state", "log", "-1", "--format=%s") == "active: tiny-b\n"
        again = made.run("use", "tiny-b", "--commit", **identity)
        assert again.returncode == 0, again.stderr
        assert "already says so" in again.stderr
        assert (
            again.stdout
            == f"local: in sync\n  tiny-b               http://127.0.0.1:{made.port}/v1\n"
        )


def test_a_commit_that_git_refuses_leaves_the_file_as_written_and_applies_nothing(
    tmp_path: Path,
) -> None:
    made = Stack(tmp_path)
    committed(made.folder / "state")
    git(made.folder / "state", "config", "user.useConfigOnly", "true")
    done = made.run(
        "use",
        "tiny-b",
        "--yes",
        "--commit",
        GIT_CONFIG_GLOBAL="/dev/null",
        GIT_CONFIG_SYSTEM="/dev/null",
    )
    assert done.returncode == 1
    assert "git did not commit" in done.stderr
    assert "or commit it yourself and `reconciler apply`" in done.stderr
    assert "active: tiny-b" in (made.folder / "state" / "desired.yaml").read_text()
    assert made.engines() == {}


def test_a_file_that_is_gone_by_the_time_it_is_written_is_said(state: Path) -> None:
    proposal = FileSource(state, DriverCatalog("", SystemClock())).propose("tinier", None)
    (state / "desired.yaml").unlink()
    with pytest.raises(
        Unreachable, match="cannot be read any more: No such file or directory; nothing was written"
    ):
        proposal.write()


def test_a_proposal_is_committed_alone(state: Path) -> None:
    committed(state)
    proposal = FileSource(state, DriverCatalog("", SystemClock())).propose("tinier", None)
    proposal.write()
    git(state, "config", "user.name", "T")
    git(state, "config", "user.email", "t@localhost")
    proposal.commit("active: tinier")
    assert git(state, "log", "-1", "--format=%s").strip() == "active: tinier"


def test_a_model_of_an_inventory_that_is_wrong_cannot_be_proposed(state: Path) -> None:
    (state / "inventory.yaml").write_text("version: 2\n")
    with pytest.raises(ConfigError, match=r"inventory\.yaml"):
        FileSource(state, DriverCatalog("", SystemClock())).propose("tinier", None)


def test_a_change_that_the_disk_refuses_leaves_the_file_as_it_was_and_nothing_in_doubt(
    state: Path,
) -> None:
    proposal = FileSource(state, DriverCatalog("", SystemClock())).propose("tinier", None)
    with (
        under_limit(resource.RLIMIT_FSIZE, 0),
        pytest.raises(
            Unreachable, match=r"nothing was changed: .*desired.yaml cannot be written"
        ) as refused,
    ):
        proposal.write()
    assert refused.value.exit_code == 1
    assert (state / "desired.yaml").read_text() == DESIRED
    assert {path.name for path in state.iterdir()} == {"desired.yaml", "inventory.yaml"}


@pytest.mark.parametrize("fails", [True, False])
def test_a_use_that_did_not_come_off_says_what_the_file_says_and_how_to_stay(
    tmp_path: Path, *, fails: bool
) -> None:
    with stack(tmp_path) as made:
        made.apply()
        made.inventory(', args: ["--threads", "many"]' if fails else "")
        done = made.run("use", "tiny-b", "--yes")
        assert done.returncode == (3 if fails else 0), done.stderr
        follows = f"state/desired.yaml still says what was asked for, which {WAITS}"
        assert (f"{follows}; `reconciler use tiny-a` keeps tiny-a" in done.stderr) == fails
        serves = "tiny-a" if fails else "tiny-b"
        assert f"  {serves:<20} http://127.0.0.1:{made.port}/v1\n" in done.stdout
        assert f"http://127.0.0.1:{made.port}/v1" in made.run("status").stdout


def test_a_use_that_went_back_to_the_same_model_says_where_it_differs(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        made.desire("tiny-b")
        made.apply()
        made.inventory(', args: ["--threads", "many"]')
        done = made.run("use", "tiny-b", "--yes")
        assert done.returncode == 3, done.stderr
        assert (
            "tiny-b serves as it was defined before: correct what inventory.yaml says of it"
            in done.stderr
        )
        assert "`reconciler use tiny-b`" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["tinier", "--for", "8d"], 64, 'found --for 8d, expected 1s to 7d, such as "2h"'),
        (["tinier", "--for", "2"], 64, "found --for 2, expected 1s to 7d"),
        (["tinier", "--for", "soon"], 64, "found --for soon, expected 1s to 7d"),
        (["tinier", "--for", "2h", "--commit"], 64, "there is nothing to commit"),
        (["tinier", "--reason", "a game"], 64, "--reason is told together with --for"),
        (["tinier", "--for", "2h", "--reason", "a\nb"], 64, "one line of at most 200 characters"),
        (
            ["tinyer", "--for", "2h"],
            64,
            'they have: tinier, tiny; did you mean "tinier"?',
        ),
        (["tinier", "--for", "2h", "--host", "tower"], 64, "a model of local, not of tower"),
    ],
)
def test_a_model_for_a_while_is_asked_for_in_full(
    state: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", *words, "--yes"]) == code
    assert said in capsys.readouterr().err
    assert not (state.parent / "host" / "reconciler" / "journal").exists()


@pytest.mark.parametrize(
    ("desired", "said"),
    [
        ("version: 1\npower: on\n", "desired.yaml does not say what runs on local"),
        ("version: 1\nactive: tiny\napply_from: committed\n", "says `apply_from: committed`"),
    ],
)
def test_a_model_for_a_while_is_refused_before_anything_is_recorded(
    state: Path, desired: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "desired.yaml").write_text(desired)
    committed(state)
    (state / "desired.yaml").write_text(f"# edited\n{desired}")
    assert main(["use", "tinier", "--for", "2h", "--yes"]) == 4
    assert said in capsys.readouterr().err


def test_a_model_for_a_while_is_shown_and_asked_about(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", "tinier", "--for", "2h"]) == 4
    said = capsys.readouterr().err
    assert "start          tinier" in said
    assert "uses tinier until" in said
    assert "NotApproved: nothing was done" in said
    assert (state / "desired.yaml").read_text() == DESIRED
