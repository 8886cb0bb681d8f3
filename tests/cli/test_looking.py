"""What the looking verbs print, once or again and again, on a terminal and for scripts."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli.main import main
from tests.jsonschema import unfit
from tests.stack import COMMAND_SECONDS, Stack, stack
from tests.unit.test_documents import schema


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("looking")) as made:
        yield made


def lines_until(process: subprocess.Popen[str], sought: str) -> list[str]:
    """Return what a command prints up to the first line that holds what is sought."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line.rstrip("\n"))
        if sought in line:
            return seen
    raise AssertionError(f"{sought} never came: {seen}")


def ended_by_ctrl_c(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=COMMAND_SECONDS)
    return process.returncode, stderr


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        ("validate", "valid"),
        ("plan", "plan"),
        ("apply --yes", "verdict"),
        ("use tiny-a --yes", "verdict"),
        ("status", "status"),
        ("history", "history"),
        ("logs tiny-a", "logs"),
    ],
)
def test_what_a_verb_prints_as_json_is_what_its_schema_says(
    here: Stack, verb: str, name: str
) -> None:
    document = here.document(*verb.split())
    assert list(unfit(document, schema(name))) == []
    assert document["version"] == 1


def test_a_log_goes_on_through_the_next_start_until_ctrl_c(here: Stack) -> None:
    here.apply()
    with here.start("logs", "tiny-a", "-f", "-n", "1", "-o", "json") as process:
        first = json.loads(lines_until(process, "lines")[0])
        assert (first["model"], len(first["lines"])) == ("tiny-a", 1)
        os.kill(here.engines()["tiny-a"], signal.SIGKILL)
        here.apply()
        again = here.document("logs", "tiny-a", "-n", "1000")["lines"]
        assert json.dumps(again[0]) in lines_until(process, json.dumps(again[0]))[-1]
        assert ended_by_ctrl_c(process) == (130, "")


def test_a_status_is_told_again_when_it_changes_until_ctrl_c(here: Stack) -> None:
    here.apply()
    with here.start("status", "-f", "-o", "json") as process:
        assert (
            json.loads(lines_until(process, "{")[0])["hosts"][0]["conditions"][0]["reason"]
            == "InSync"
        )
        here.desire("[]")
        assert (
            json.loads(lines_until(process, "{")[0])["hosts"][0]["conditions"][0]["reason"]
            == "ChangesPending"
        )
        here.desire("tiny-a")
        lines_until(process, "InSync")
        assert ended_by_ctrl_c(process) == (130, "")


def test_a_file_that_is_half_written_is_said_and_following_goes_on(here: Stack) -> None:
    here.apply()
    with here.start("status", "-f") as process:
        lines_until(process, "Ready=True")
        (here.folder / "state" / "desired.yaml").write_text("version: 1\nactive: [tiny-a")
        assert process.stderr is not None
        assert "desired.yaml:2" in process.stderr.readline()
        here.desire("[]")
        lines_until(process, "ChangesPending")
        here.desire("tiny-a")
        assert ended_by_ctrl_c(process)[0] == 130


def test_a_reader_who_has_seen_enough_ends_following(here: Stack) -> None:
    here.apply()
    with here.start("logs", "tiny-a", "-f", "-n", "1") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        os.kill(here.engines()["tiny-a"], signal.SIGKILL)
        here.apply()
        assert process.wait(COMMAND_SECONDS) == 0


def on_a_terminal(here: Stack, columns: int, *words: str, no_colour: str = "") -> str:
    """Return what a command shows on a terminal."""
    ours, theirs = pty.openpty()
    environment = here.environment(COLUMNS=str(columns), NO_COLOR=no_colour)
    with subprocess.Popen(
        here.argv(*words),
        cwd=here.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ):
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_a_table_fits_the_terminal_and_is_whole_off_it(here: Stack) -> None:
    here.apply()
    shown = on_a_terminal(here, 40, "history", no_colour="1")
    assert max(map(len, shown.splitlines())) <= 40
    assert "…" in shown
    assert "\x1b[" not in shown
    assert "…" not in here.run("history").stdout


def test_history_lists_as_many_of_the_newest_runs_as_are_asked_for(here: Stack) -> None:
    here.apply()
    here.run("restart", "tiny-a", "--yes")
    earlier = len(here.document("history")["runs"]) - 1
    assert earlier > 0
    newest = here.run("history", "-n", "1").stdout.splitlines()
    assert newest[0].startswith(f"({earlier} earlier run")
    assert newest[0].endswith(f"; `reconciler history -n {earlier + 1}` lists all)")
    assert here.run("history").stdout.splitlines()[-len(newest) + 1 :] == newest[1:]
    document = here.document("history", "-n", "1")
    assert (document["earlier"], len(document["runs"])) == (earlier, 1)
    assert here.document("history")["earlier"] == 0


def test_colour_is_for_terminals_whose_owner_wants_it(here: Stack) -> None:
    here.apply()
    assert "\x1b[32mpromoted\x1b[0m" in on_a_terminal(here, 120, "history")
    assert "\x1b[" not in here.run("history").stdout


@pytest.mark.usefixtures("quiet")
def test_a_journal_that_is_not_there_is_named_by_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    assert main(["history", "--data", elsewhere]) == 0
    assert capsys.readouterr().out == f"No runs yet in {elsewhere}; `--data DIR` looks elsewhere.\n"
    assert main(["history", "7", "--data", elsewhere]) == 64
    assert (
        f"there is no run 7 in {elsewhere}; the last ones are: none yet" in capsys.readouterr().err
    )


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "host"))


@pytest.mark.parametrize(
    "name", ["desired", "inventory", "plan", "status", "history", "logs", "valid", "verdict"]
)
def test_a_schema_is_printed_without_any_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--schema", name, "--state", str(tmp_path / "nowhere")]) == 0
    assert json.loads(capsys.readouterr().out) == schema(name)


def test_a_schema_that_is_not_there_is_answered_with_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["validate", "--schema", "plans"]) == 64
    assert (
        "found plans, expected the name of a schema: desired, inventory, plan,"
        in capsys.readouterr().err
    )


def test_a_log_of_a_model_that_is_not_there_is_answered_with_the_nearest(here: Stack) -> None:
    done = here.run("logs", "tiny-c")
    assert done.returncode == 64
    assert "no managed host has a model tiny-c; they have: " in done.stderr
    assert '; did you mean "tiny-' in done.stderr


@pytest.mark.parametrize("lines", ["0", "many", "1001"])
def test_a_number_of_lines_that_no_host_gives_is_refused(
    lines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", "tiny-a", "-n", lines]) == 64
    assert f"found {lines}, expected a number of lines from 1 to 1000" in capsys.readouterr().err
