"""The unforeseen ends in a sentence, a private file with the traceback, and a code of the table."""

from __future__ import annotations

import re
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cli.main import main
from reconciler.edge import trace
from reconciler.errors import Refused

CLI = sys.modules["reconciler.cli.main"]
SAID = (
    r"reconciler: Unexpected: ZeroDivisionError: by zero; its traceback is in \S+\. `reconciler"
    r" status` says how things are now\n"
)


def raising(error: BaseException) -> Callable[[object], int]:
    def run(_: object) -> int:
        raise error

    return run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECONCILER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("plan", 1),
        ("status", 1),
        ("watch", 1),
        ("apply", 5),
        ("use tiny", 5),
        ("hold --reason r", 5),
    ],
)
def test_an_unexpected_error_is_a_sentence_a_private_file_and_a_code(
    words: str,
    code: int,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(CLI, "run", raising(ZeroDivisionError("by\nzero")))
    assert main(words.split()) == code
    said = capsys.readouterr().err
    assert re.fullmatch(SAID, said)
    (file,) = (place / "traces").iterdir()
    assert str(file) in said
    assert "by\nzero" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_several_tasks_raised_is_said_once_each_and_the_worst_counts(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = BaseExceptionGroup("", [ZeroDivisionError("zero"), KeyboardInterrupt()])
    monkeypatch.setattr(CLI, "run", raising(BaseExceptionGroup("", [Refused("not now"), inner])))
    assert main(["plan"]) == 130
    said = capsys.readouterr().err.splitlines()
    assert [line.split("; its")[0] for line in said] == [
        "reconciler: Refused: not now",
        "reconciler: Unexpected: ZeroDivisionError: zero",
        "reconciler: quit; nothing was changed",
    ]
    assert len(list((place / "traces").iterdir())) == 1


def test_where_the_first_place_takes_nothing_a_folder_of_our_own_in_the_temporary_one_does(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write_text("in the way")
    monkeypatch.setattr(CLI, "run", raising(MemoryError()))
    assert main(["apply"]) == 5
    (folder,) = place.parent.glob("reconciler-*")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert f"its traceback is in {folder}" in capsys.readouterr().err
    folder.chmod(0o777)
    assert main(["apply"]) == 5
    assert "its traceback could not be written" in capsys.readouterr().err


def test_traces_are_few_and_small(tmp_path: Path) -> None:
    for number in range(trace.KEPT_FILES + 5):
        file = trace.write(tmp_path, ValueError(f"{number}" + "x" * 2 * trace.LARGEST))
        assert file is not None
        assert file.stat().st_size <= trace.LARGEST
    assert len(list(tmp_path.iterdir())) <= trace.KEPT_FILES


@pytest.mark.parametrize(
    ("words", "said"),
    [("status", "quit; nothing was changed"), ("apply", "quit at once; what was begun")],
)
def test_ctrl_c_says_whether_anything_may_have_been_begun(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CLI, "run", raising(KeyboardInterrupt()))
    assert main([words]) == 130
    assert f"reconciler: {said}" in capsys.readouterr().err
