"""After kill -9 at any moment of the journal, the next command finishes or goes back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import until
from tests.stack import COMMAND_SECONDS, LEAST_REUSED, Stack, ending

THERE_AND_BACK = (
    ("forward opened", "trial-opened"),
    ("intent prefetch", "done restore_slots"),
    ("done prefetch", "intent restore_slots"),
    ("done drain", "done await_healthy"),
    ("intent save_slots", "intent await_healthy"),
    ("done save_slots", "done start"),
    ("intent stop", "intent start"),
    ("done stop", "done stop"),
)
"""Every row of a switch: what comes before the point of no return on the way there, what comes
after it on the way back."""


BEFORE_A_START = (
    *("forward opened", "intent prefetch", "done prefetch", "done drain"),
    *("intent save_slots", "done save_slots", "done stop", "intent start"),
)
"""Rows of a switch, each of which whoever finds the one before cut short comes to. After the intent
of a stop that need not be so: its signal may have gone out, and what it is for has ended."""

AFTER_A_START = (
    *(
        "done start",
        "intent await_healthy",
        "done await_healthy",
        "intent restore_slots",
        "done restore_slots",
    ),
    *("trial-opened", "run-closed"),
)


class Talked(Stack):
    """A conversation with both models that grows at every word, so that all have one to save."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.held = {"tiny-a": 0, "tiny-b": 0}

    def talk_on(self, model: str) -> None:
        """Go on with the conversation where this model left it."""
        self.conversation += " And then?"
        assert self.talk()["cache_n"] >= LEAST_REUSED * self.held[model]
        self.held[model] = self.talk()["cache_n"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talked]:
    """Give a stack whose two models both hold the conversation; tiny-a serves."""
    made = Talked(tmp_path_factory.mktemp("stack"))
    with ending(made):
        for model in ("tiny-a", "tiny-b", "tiny-a"):
            made.desire(model)
            made.apply()
            made.talk_on(model)
        assert min(made.held.values()) > 100
        yield made


def cut_short(here: Talked, *moments: str) -> None:
    """Kill an apply once these moments stand in its journal, before its run is closed."""
    rows = here.rows()
    code = here.killed_at(moments, "apply", "--yes")
    assert code == -signal.SIGKILL, here.moments(rows)
    assert here.moments(rows)[-1] != "run-closed"


def goes_on(here: Talked, model: str, code: int = 0) -> None:
    """Show that another apply tells what was cut short, and that one model serves and remembers."""
    number = here.run_number()
    assert f"local: run {number} was cut short" in here.apply(code).stderr
    assert here.processes() == list(here.engines().values())
    assert list(here.engines()) == [model]
    here.talk_on(model)


def has_nothing_to_do(here: Talked, code: int = 0) -> None:
    rows, engines = here.rows(), here.engines()
    here.apply(code)
    assert (here.rows(), here.engines()) == (rows, engines)


@pytest.mark.parametrize(("there", "back"), THERE_AND_BACK)
def test_kill_9_on_the_way_there_and_back_loses_no_conversation(
    here: Talked, there: str, back: str
) -> None:
    for model, moment in (("tiny-b", there), ("tiny-a", back)):
        here.desire(model)
        cut_short(here, moment)
        goes_on(here, model)
        has_nothing_to_do(here)


def test_kill_9_of_what_goes_on_after_kill_9_loses_no_conversation(here: Talked) -> None:
    here.desire("tiny-b")
    for moment in (
        "intent save_slots",
        "done stop",
        "intent start",
        "done await_healthy",
        "trial-opened",
    ):
        cut_short(here, moment)
    goes_on(here, "tiny-b")
    here.desire("tiny-a")
    cut_short(here, "intent stop")
    goes_on(here, "tiny-a")
    has_nothing_to_do(here)


@pytest.mark.parametrize("moment", ["done stop", "intent await_healthy"])
def test_a_change_of_mind_after_kill_9_loses_no_conversation(here: Talked, moment: str) -> None:
    here.desire("tiny-b")
    cut_short(here, moment)
    here.desire("tiny-a")
    goes_on(here, "tiny-a")
    has_nothing_to_do(here)


@pytest.mark.parametrize("moment", ["rollback opened", "intent restore_slots"])
def test_kill_9_on_the_way_back_from_a_failed_start_loses_no_conversation(
    here: Talked, moment: str
) -> None:
    here.inventory(f', args: ["--threads", "{moment}"]')
    here.desire("tiny-b")
    cut_short(here, "rollback opened", *([moment] if moment != "rollback opened" else ()))
    goes_on(here, "tiny-a", 3)
    has_nothing_to_do(here, 4)
    here.inventory()
    here.desire("tiny-a")
    here.apply()
    has_nothing_to_do(here)


def killed_watch(here: Talked, moment: str) -> None:
    with here.watching(code=-signal.SIGKILL, words=("-m", "tests.killed_at", moment)) as process:
        process.wait(COMMAND_SECONDS)


def converges(here: Talked, model: str) -> None:
    """Show that the next watch leaves one model serving, which remembers the conversation."""
    with here.watching():
        until(lambda: here.has_followed(1), within=COMMAND_SECONDS)
        here.becomes(model)
    assert here.processes() == list(here.engines().values())
    here.talk_on(model)


def test_kill_9_of_one_watch_after_another_loses_no_conversation(here: Talked) -> None:
    for model in ("tiny-b", "tiny-a"):
        here.desire(model)
        for moment in BEFORE_A_START:
            killed_watch(here, moment)
        converges(here, model)
    has_nothing_to_do(here)


def test_kill_9_of_a_watch_that_ends_or_starts_an_engine_loses_no_conversation(
    here: Talked,
) -> None:
    for number, moment in enumerate(("intent stop", *AFTER_A_START, "done start")):
        model = ("tiny-b", "tiny-a")[number % 2]
        here.desire(model)
        killed_watch(here, moment)
        converges(here, model)
    has_nothing_to_do(here)
