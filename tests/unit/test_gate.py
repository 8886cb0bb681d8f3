"""What a person approves is what a plan means, and nothing beside it."""

from __future__ import annotations

from reconciler.core.gate import approval, refusals
from reconciler.core.planner import plan
from reconciler.core.recovery import Hints
from reconciler.model.facts import Health
from tests.sample_worlds import OURS, model, slice_of, target, unit, world

A, B = model("a"), model("b")


def test_the_same_steps_are_one_approval_and_others_are_another() -> None:
    wanted = slice_of(("b",), A, B)
    one = plan(target(wanted), world(wanted, {"a": unit("a", 7)}), Hints())
    same = plan(target(wanted), world(wanted, {"a": unit("a", 8)}), Hints())
    other = plan(target(wanted), world(wanted), Hints())
    assert one.steps
    assert approval(one) == approval(same) != approval(other)


def test_what_no_step_can_bring_about_refuses_an_empty_plan_but_no_way_back() -> None:
    wanted = slice_of(("a",), A, B)
    seen = world(
        wanted, {"a": unit("a")}, health_a=Health(phase="other", message="it serves c, not a")
    )
    made = plan(target(wanted), seen, Hints())
    assert refusals(made, seen, OURS, take_over=False) == ("a: it serves c, not a",)
    back = plan(target(wanted), seen, Hints(), mode="rollback")
    assert refusals(back, seen, OURS, take_over=False) == ()
