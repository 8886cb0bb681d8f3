"""After kill -9 at any moment of the journal, the next command finishes or goes back."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.running import until
from tests.stack import COMMAND_SECONDS, stack
from tests.talk import THERE_AND_BACK, Talk, begun

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


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """Give a stack whose two models both hold the conversation; tiny-a serves."""
    with stack(tmp_path_factory.mktemp("stack")) as made:
        yield begun(made)


@pytest.mark.parametrize(("there", "back"), THERE_AND_BACK)
def test_kill_9_on_the_way_there_and_back_loses_no_conversation(
    here: Talk, there: str, back: str
) -> None:
    here.goes_there_and_back(there, back)


def test_kill_9_of_what_goes_on_after_kill_9_loses_no_conversation(here: Talk) -> None:
    here.stack.desire("tiny-b")
    for moment in (
        "intent save_slots",
        "done stop",
        "intent start",
        "done await_healthy",
        "trial-opened",
    ):
        here.cut_short(moment)
    here.goes_on("tiny-b")
    here.stack.desire("tiny-a")
    here.cut_short("intent stop")
    here.goes_on("tiny-a")
    here.has_nothing_to_do()


@pytest.mark.parametrize("moment", ["done stop", "intent await_healthy"])
def test_a_change_of_mind_after_kill_9_loses_no_conversation(here: Talk, moment: str) -> None:
    here.stack.desire("tiny-b")
    here.cut_short(moment)
    here.stack.desire("tiny-a")
    here.goes_on("tiny-a")
    here.has_nothing_to_do()


@pytest.mark.parametrize("moment", ["rollback opened", "intent restore_slots"])
def test_kill_9_on_the_way_back_from_a_failed_start_loses_no_conversation(
    here: Talk, moment: str
) -> None:
    here.stack.inventory(f', args: ["--threads", "{moment}"]')
    here.stack.desire("tiny-b")
    here.cut_short("rollback opened", *([moment] if moment != "rollback opened" else ()))
    here.goes_on("tiny-a", 3)
    here.has_nothing_to_do(4)
    here.stack.inventory()
    here.stack.desire("tiny-a")
    here.stack.apply()
    here.has_nothing_to_do()


def killed_watch(here: Talk, moment: str) -> None:
    with here.stack.watching(
        code=-signal.SIGKILL, words=("-m", "tests.killed_at", moment)
    ) as process:
        process.wait(COMMAND_SECONDS)


def converges(here: Talk, model: str) -> None:
    """Show that the next watch leaves one model serving, which remembers the conversation."""
    with here.stack.watching():
        until(lambda: here.stack.has_followed(1), within=COMMAND_SECONDS)
        here.stack.becomes(model)
    here.has_no_orphan()
    here.talk_on(model)


def test_kill_9_of_one_watch_after_another_loses_no_conversation(here: Talk) -> None:
    for model in ("tiny-b", "tiny-a"):
        here.stack.desire(model)
        for moment in BEFORE_A_START:
            killed_watch(here, moment)
        converges(here, model)
    here.has_nothing_to_do()


def test_kill_9_of_a_watch_that_ends_or_starts_an_engine_loses_no_conversation(
    here: Talk,
) -> None:
    for number, moment in enumerate(("intent stop", *AFTER_A_START, "done start")):
        model = ("tiny-b", "tiny-a")[number % 2]
        here.stack.desire(model)
        killed_watch(here, moment)
        converges(here, model)
    here.has_nothing_to_do()
