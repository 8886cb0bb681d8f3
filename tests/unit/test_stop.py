"""Which unit a stop may end."""

from __future__ import annotations

from reconciler.steps.stop import Stop
from tests.sample_worlds import HOST, identity, model, slice_of, unit, world


def test_between_two_tries_of_what_fails_again_and_again_a_stop_cuts_nothing() -> None:
    """One that serves meanwhile is another unit, which the plan did not mean."""
    a = model("a")
    step = Stop(host=HOST, model="a", port=None, identity=identity(100))
    waits = unit("a", 0, leader=False)
    for running, blocked in ((unit("a"), 0), (waits, 0), (unit("a", 0), 1), (unit("a", 101), 1)):
        assert len(step.blockers(world(slice_of(("a",), a), {"a": running}))) == blocked
