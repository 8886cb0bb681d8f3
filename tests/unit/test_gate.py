"""What a person approves is what a plan means, and nothing beside it."""

from __future__ import annotations

from reconciler.core.gate import approval
from reconciler.core.planner import plan
from reconciler.core.recovery import Hints
from tests.worlds import model, slice_of, target, unit, world

A, B = model("a"), model("b")


def test_the_same_steps_are_one_approval_and_others_are_another() -> None:
    wanted = slice_of(("b",), A, B)
    one = plan(target(wanted), world(wanted, {"a": unit("a", 7)}), Hints())
    same = plan(target(wanted), world(wanted, {"a": unit("a", 8)}), Hints())
    other = plan(target(wanted), world(wanted), Hints())
    assert one.steps
    assert approval(one) == approval(same) != approval(other)
