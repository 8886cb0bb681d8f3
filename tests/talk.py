"""A conversation with both models of a stack that goes on across switches that are killed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.stack import LEAST_REUSED

if TYPE_CHECKING:
    from tests.stack import Stack

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


class Talk:
    """A conversation that grows at every word, so that both models always have one to save."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.held = {"tiny-a": 0, "tiny-b": 0}

    def talk_on(self, model: str) -> None:
        """Go on with the conversation where this model left it."""
        self.stack.conversation += " And then?"
        assert self.stack.talk()["cache_n"] >= LEAST_REUSED * self.held[model]
        self.held[model] = self.stack.talk()["cache_n"]

    def cut_short(self, *moments: str) -> None:
        """Kill an apply once these moments stand in its journal, before its run is closed."""
        rows = self.stack.rows()
        code = self.stack.killed_at(moments, "apply", "--yes")
        assert code == -signal.SIGKILL, self.stack.moments(rows)
        assert self.stack.moments(rows)[-1] != "run-closed"

    def goes_on(self, model: str, code: int = 0) -> None:
        """Show that the next apply tells what was cut short, and one model serves and remembers."""
        number = self.stack.run_number()
        assert f"local: run {number} was cut short" in self.stack.apply(code).stderr
        self.has_no_orphan()
        assert list(self.stack.serving()) == [model]
        self.talk_on(model)

    def goes_there_and_back(self, there: str, back: str) -> None:
        """Show that of both ways, each cut short at a moment, the next apply makes a switch."""
        for model, moment in (("tiny-b", there), ("tiny-a", back)):
            self.stack.desire(model)
            self.cut_short(moment)
            self.goes_on(model)
            self.has_nothing_to_do()

    def has_no_orphan(self) -> None:
        assert self.stack.processes() == list(self.stack.engines().values())

    def has_nothing_to_do(self, code: int = 0) -> None:
        rows, serving = self.stack.rows(), self.stack.serving()
        self.stack.apply(code)
        assert (self.stack.rows(), self.stack.serving()) == (rows, serving)


def begun(stack: Stack) -> Talk:
    """Hold the conversation with both models of a stack, and leave tiny-a serving."""
    talk = Talk(stack)
    for model in ("tiny-a", "tiny-b", "tiny-a"):
        stack.desire(model)
        stack.apply()
        talk.talk_on(model)
    assert min(talk.held.values()) > 100
    return talk
