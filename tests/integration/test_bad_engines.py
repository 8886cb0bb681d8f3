"""Days on which engines, their files or their saved conversations are bad, one a row."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import faults
from tests.bad_days import Day, lives_through, settled, watched_stack
from tests.faults import said
from tests.killed_at import stands_for
from tests.running import until
from tests.stack import COMMAND_SECONDS, LEAST_REUSED, Stack, stack

UNFIT = {
    "weights missing": Day(
        faults.weights(Path.unlink),
        "there is no such file",
        faults.asked_again(faults.whole_weights),
        4,
    ),
    "weights cut": Day(
        faults.weights(lambda path: os.truncate(path, 10_000)),
        "was the download interrupted?",
        faults.asked_again(faults.whole_weights),
        4,
    ),
    "weights of another kind": Day(
        faults.weights(lambda path: path.write_bytes(b"PK" * 999)),
        "it is not a GGUF file",
        faults.asked_again(faults.whole_weights),
        4,
    ),
    "program missing": Day(
        faults.program(Path.unlink),
        "there is no such file",
        faults.asked_again(faults.whole_program),
        4,
    ),
    "program not executable": Day(
        faults.program(lambda path: path.chmod(0o644)),
        "is not executable",
        faults.asked_again(faults.whole_program),
        4,
    ),
}
"""What cannot run is refused before anything is stopped."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose watch lives through all days of this module."""
    with watched_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.mark.parametrize("day", UNFIT.values(), ids=UNFIT)
def test_what_cannot_run_is_refused_before_anything_stops(watched: Stack, day: Day) -> None:
    settled(watched)
    lives_through(watched, day)


def test_an_engine_that_ends_at_once_costs_nothing_and_is_tried_again_once_it_is_fixed(
    watched: Stack,
) -> None:
    settled(watched)
    held, before = watched.remembered(), len(watched.watched())
    watched.inventory(', args: ["--threads", "many"]')
    watched.desire("tiny-b")
    said(watched, "local: rolled back; ", before)
    told = watched.run("status").stdout
    assert "tiny-b: it exited " in told
    assert "--threads" in told
    assert list(watched.engines()) == ["tiny-a"]
    assert watched.talk()["cache_n"] >= LEAST_REUSED * held > 100
    watched.inventory()
    watched.becomes("tiny-b")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_engine_that_dies_or_hangs_is_replaced(watched: Stack, number: signal.Signals) -> None:
    settled(watched)
    (pid,), before = watched.engines().values(), len(watched.watched())
    os.kill(pid, number)
    watched.apply()
    said(watched, "start tiny-a (", before)
    watched.becomes("tiny-a")
    assert list(watched.engines().values()) != [pid]


def test_the_folder_of_saved_conversations_is_made_again_and_what_stands_in_its_place_is_named(
    watched: Stack,
) -> None:
    settled(watched)
    held, before = watched.remembered(), len(watched.watched())
    folder = watched.folder / "host/reconciler-host/models/tiny-a/slots"
    shutil.rmtree(folder)
    folder.write_text("in the way")
    watched.desire("tiny-b")
    said(watched, f"saved failed: {folder}: a part of the path is not a directory", before)
    assert list(watched.engines()) == ["tiny-a"]
    folder.unlink()
    watched.becomes("tiny-b")
    watched.desire("tiny-a")
    watched.becomes("tiny-a")
    assert watched.talk()["cache_n"] >= LEAST_REUSED * held > 100


@pytest.mark.parametrize("moment", ["intent stop", "intent await_healthy"])
def test_a_switch_that_is_taken_back_half_way_ends_as_the_file_says(
    watched: Stack, moment: str
) -> None:
    settled(watched)
    held, rows, before = watched.remembered(), watched.rows(), len(watched.watched())
    watched.desire("tiny-b")
    until(
        lambda: any(stands_for(moment, seen) for seen in watched.moments(rows)),
        within=COMMAND_SECONDS,
    )
    watched.desire("tiny-a")
    said(watched, "local: applied", before)
    watched.becomes("tiny-a")
    assert watched.talk()["cache_n"] >= LEAST_REUSED * held > 100


def test_ctrl_c_twice_leaves_while_an_engine_is_deaf_and_the_next_watch_goes_on(
    here: Stack,
) -> None:
    here.inventory(engine=here.frail_engine("deaf"))
    here.desire("tiny-b")
    with here.watching(code=130) as process:
        here.becomes("tiny-b")
        rows = here.rows()
        here.desire("tiny-a")
        until(lambda: "intent stop" in here.moments(rows), within=COMMAND_SECONDS)
        process.send_signal(signal.SIGINT)
        said(
            here,
            "stopping after the current action; engines keep running;"
            " a second signal quits at once",
            0,
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(COMMAND_SECONDS) == 130
        assert "what was begun is in the journal" in here.watched()
    with here.watching():
        said(
            here,
            "was cut short during stop tiny-b; looking again and going on from what is there",
            0,
        )
        here.becomes("tiny-a")
    assert here.processes() == list(here.engines().values())
