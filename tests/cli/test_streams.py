"""Streams that are closed, full or unread change neither what a command does nor its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import COMMAND_SECONDS, Stack, stack

OPENS = (
    "import os, reconciler.cli.terminal as terminal; terminal.open_streams();"
    " print(os.open('.', 0))"
)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        made.inventory(engine=made.frail_engine())
        made.desire("tiny-b")
        yield made


def in_a_shell(here: Stack, words: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `reconciler` is this one, on the folders of the stack."""
    environment = here.environment(RECONCILER_DATA=str(here.folder / "data"))
    command = words.replace("reconciler", f"{sys.executable} -m reconciler")
    return subprocess.run(
        ["/bin/bash", "-c", command], cwd=here.folder, env=environment, capture_output=True,
        text=True, check=False, timeout=COMMAND_SECONDS,
    )  # fmt: skip


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "<&- >/dev/null 2>&-"])
def test_a_switch_beside_closed_streams_is_carried_out_and_ends_with_its_own_code(
    here: Stack, closed: str
) -> None:
    done = in_a_shell(here, f"reconciler apply --yes {closed}")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert set(here.engines()) == {"tiny-b"}
    done = in_a_shell(here, f"reconciler use tiny-a --yes {closed}")
    assert (done.returncode, set(here.engines())) == (0, {"tiny-a"})
    assert in_a_shell(here, f"reconciler plan --detailed-exitcode {closed}").returncode == 0


def closed() -> None:
    """Close two of the streams, in the child."""
    os.close(0)
    os.close(2)


def test_what_is_opened_beside_closed_streams_never_gets_their_numbers(here: Stack) -> None:
    """Where the journal has the number of standard error, an engine's last words end in it."""
    done = in_a_shell(here, "reconciler apply --yes <&- >&- 2>&-; reconciler history")
    assert "promoted" in done.stdout
    opened = subprocess.run(
        [sys.executable, "-c", OPENS],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True, check=True,
        preexec_fn=closed,
    )  # fmt: skip
    assert int(opened.stdout) > 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("reconciler plan --detailed-exitcode | true", 2),
        ("reconciler status | true", 0),
        ("reconciler --help | true", 0),
        ("reconciler --version | true", 0),
        ("reconciler apply 2>&1 | true", 4),
        ("reconciler apply --yes 2>&1 | true", 0),
        ("reconciler history 9 2>&1 | true", 64),
        ("reconciler use tiny-a 2>&1 | head -1", 4),
        ("reconciler hold 2>&1 | true", 0),
    ],
)
def test_readers_who_have_seen_enough_change_no_code(here: Stack, words: str, code: int) -> None:
    done = in_a_shell(here, f"{words}; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (code, "" if "2>&1" in words else done.stderr)
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("words", ["plan", "--help", "--version", "status -o json"])
def test_an_answer_that_does_not_fit_on_the_disk_is_said_in_words(here: Stack, words: str) -> None:
    done = in_a_shell(here, f"reconciler {words} > /dev/full")
    assert done.returncode == 1
    assert (
        done.stderr
        == "reconciler: Unreachable: the answer cannot be written to standard output: No space left"
        " on device\n"
    )


def test_an_unread_log_ends_no_watch(here: Stack) -> None:
    line = "timeout -s TERM 8 reconciler watch -o json 2> >(true); exit $?"
    assert in_a_shell(here, line).returncode == 124, "timeout had to end it"
    assert set(here.engines()) == {"tiny-b"}


def test_a_watch_whose_log_is_closed_works_on_until_it_is_told_to_leave(here: Stack) -> None:
    process = subprocess.Popen(
        ["/bin/bash", "-c", 'exec "$@" 2>&-', "bash", *here.argv("watch")], cwd=here.folder,
        env=here.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with process:
        here.becomes("tiny-b")
        here.desire("tiny-a")
        here.becomes("tiny-a")
        process.terminate()
        assert process.wait(COMMAND_SECONDS) == 0


def test_letters_that_an_output_does_not_have_are_written_as_escapes(here: Stack) -> None:
    (here.folder / "state" / "desired.yaml").write_bytes("version: 1\nactive: é\n".encode())
    done = in_a_shell(
        here,
        "PYTHONIOENCODING=ascii reconciler validate; PYTHONIOENCODING=ascii reconciler explain é",
    )
    assert 'found "\\xe9"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["apply", "use tiny-a", "hold --release --reason r"])
def test_ctrl_c_at_the_question_ends_at_once_and_says_that_nothing_was_begun(
    here: Stack, words: str
) -> None:
    if words != "apply":
        here.apply()
    engines, wish = here.engines(), (here.folder / "state" / "desired.yaml").read_text()
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        here.argv(*words.split()), cwd=here.folder, env=here.environment(),
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    with process:
        assert process.stderr is not None
        heard = b""
        while b"[y/N] " not in heard:
            more = os.read(process.stderr.fileno(), 4096)
            assert more, heard
            heard += more
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=COMMAND_SECONDS)
    os.close(ours)
    assert process.returncode == 130
    assert (
        rest.decode()
        == "reconciler: quit at the question; nothing was started, and nothing was changed\n"
    )
    assert here.engines() == engines
    assert (here.folder / "state" / "desired.yaml").read_text() == wish
    assert here.run("status").stdout.count("Held") == 0
