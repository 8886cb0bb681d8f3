"""How long a model takes until it serves: its load, what makes way for it, and its host's wake."""

from __future__ import annotations

from reconciler.core.arrivals import (
    UNKNOWN_LOAD_SECONDS,
    UNKNOWN_WAKE_SECONDS,
    arrivals,
    load_seconds,
)
from reconciler.core.recovery import Hints
from tests.sample_worlds import model, slice_of

HOST = slice_of(("a",), model("a"), model("b"), model("e", port=8082, task="embedding"))
KNOWN = Hints(
    durations={
        ("start", "a"): (1.0,), ("await_healthy", "a"): (9.0,), ("stop", "b"): (3.0,),
        ("start", "e"): (1.0,), ("await_healthy", "e"): (1.0,), ("wake", ""): (20.0, 40.0, 21.0),
    }
)  # fmt: skip


def test_a_load_takes_its_steps_and_the_stop_of_what_makes_way() -> None:
    assert [load_seconds(HOST, KNOWN, name) for name in "abe"] == [13.0, None, 2.0]


def test_on_a_host_that_sleeps_the_wake_comes_on_top_and_what_is_not_known_is_guessed() -> None:
    up, asleep = (arrivals(HOST, KNOWN, wakes=wakes) for wakes in (False, True))
    assert up == {"a": 13.0, "b": UNKNOWN_LOAD_SECONDS, "e": 2.0}
    assert asleep == {name: seconds + 21.0 for name, seconds in up.items()}
    assert arrivals(HOST, Hints(), wakes=True)["a"] == UNKNOWN_LOAD_SECONDS + UNKNOWN_WAKE_SECONDS
