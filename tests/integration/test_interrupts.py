"""Ctrl-C and SIGTERM end an apply with 130, and the previous model serves its conversation."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import COMMAND_SECONDS, LEAST_REUSED, Stack, stack


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        made.apply()
        yield made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "moment",
    ["forward opened", "intent save_slots", "intent stop", "intent await_healthy", "trial-opened"],
)
def test_one_signal_ends_an_apply_with_the_previous_model_serving(
    here: Stack, moment: str, number: signal.Signals
) -> None:
    held = here.remembered()
    engines = here.engines()
    if moment == "trial-opened":
        here.inventory(stable_for="60s")
    else:
        here.inventory(engine=here.frail_engine("silent"))
    here.desire("tiny-b")
    rows = here.rows()
    with here.start("apply", "--yes") as process:
        assert here.until(process, rows, moment)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=COMMAND_SECONDS)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "interrupted by a signal" in stdout
    assert "a second signal quits at once" in stderr
    assert list(here.engines()) == ["tiny-a"]
    assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100
    assert "stop tiny-a" in stderr or here.engines() == engines


def test_a_model_that_is_new_in_the_inventory_is_stopped_on_the_way_back(here: Stack) -> None:
    here.forget("tiny-b")
    here.apply()
    here.inventory(engine=here.frail_engine("silent"))
    here.desire("tiny-b")
    rows = here.rows()
    with here.start("apply", "--yes") as process:
        assert here.until(process, rows, "intent await_healthy")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=COMMAND_SECONDS)
    assert process.returncode == 130
    assert list(here.engines()) == ["tiny-a"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once_and_the_next_apply_goes_on(
    here: Stack, number: signal.Signals
) -> None:
    held = here.remembered()
    here.inventory(stable_for="60s")
    here.desire("tiny-b")
    rows = here.rows()
    with here.start("apply", "--yes") as process:
        assert here.until(process, rows, "trial-opened")
        process.send_signal(number)
        assert here.until(process, rows, "rollback opened")
        process.send_signal(number)
        _, stderr = process.communicate(timeout=COMMAND_SECONDS)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "what was begun is in the journal" in stderr
    here.desire("tiny-a")
    assert "was cut short" in here.apply().stderr
    assert list(here.engines()) == ["tiny-a"]
    assert here.talk()["cache_n"] >= LEAST_REUSED * held


@pytest.mark.parametrize("ignored", [False, True])
def test_a_terminal_that_goes_away_ends_an_apply_as_ctrl_c_does_and_under_nohup_it_goes_on(
    here: Stack, *, ignored: bool
) -> None:
    here.inventory(stable_for="2s")
    here.desire("tiny-b")
    rows, before = here.rows(), signal.getsignal(signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        process = here.start("apply", "--yes")
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        assert here.until(process, rows, "trial-opened")
        process.send_signal(signal.SIGHUP)
        _, stderr = process.communicate(timeout=COMMAND_SECONDS)
    assert process.returncode == (0 if ignored else 130), stderr
    assert list(here.engines()) == ["tiny-b" if ignored else "tiny-a"]
