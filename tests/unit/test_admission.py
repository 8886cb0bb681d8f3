"""When requests may reach a model, in plans, and which models they may name."""

from __future__ import annotations

import pytest

from reconciler.core.admission import routes
from reconciler.core.planner import plan
from reconciler.model.facts import Activity, Health, Known, Phase, Slot, Unit
from reconciler.model.observed import ADMITTING, TRAFFIC, Observed
from reconciler.model.target import Wanted
from reconciler.model.traffic import Admitting, Route, Traffic
from reconciler.steps.plan import HostPlan
from tests.sample_worlds import (
    HOST,
    NO_HINTS,
    PROVENANCE,
    identity,
    model,
    slice_of,
    target,
    unit,
    world,
)

A, B = model("a"), model("b")
WANT_A, WANT_B = slice_of(("a",), A, B), slice_of(("b",), A, B)
A_RUNS = {"a": unit("a")}
OPEN = Admitting(identity=unit("a").identity)


def behind_a_gate(seen: Observed, **gates: Admitting) -> Observed:
    """Put a gateway into a world; what is not named is closed."""
    closed = {name: Admitting() for name in ("a", "b")}
    return seen.seeing(
        {
            **{ADMITTING(HOST, name): Known(gate) for name, gate in {**closed, **gates}.items()},
            **{TRAFFIC(HOST, name): Known(Traffic()) for name in closed},
        }
    )


def steps(made: HostPlan) -> list[str]:
    return [f"{planned.step.kind} {planned.step.target}" for planned in made.steps]


def test_a_switch_holds_requests_back_first_and_lets_them_through_last() -> None:
    made = plan(target(WANT_B), behind_a_gate(world(WANT_B, A_RUNS), a=OPEN), NO_HINTS)
    assert steps(made) == [
        "prefetch b", "hold_requests a", "drain a", "save_slots a", "stop a", "start b",
        "await_healthy b", "admit b",
    ]  # fmt: skip
    assert made.steps[-1].after == (made.steps[-2].number,)


def test_a_plan_means_the_same_with_and_without_a_gateway() -> None:
    seen = world(WANT_B, A_RUNS)
    without = plan(target(WANT_B), seen, NO_HINTS)
    with_one = plan(target(WANT_B), behind_a_gate(seen, a=OPEN), NO_HINTS)
    assert len(with_one.steps) == len(without.steps) + 2
    assert with_one.meaning == without.meaning


@pytest.mark.parametrize(
    ("gate", "planned"),
    [
        (Admitting(), ["admit a"]),
        (Admitting(identity=identity(7)), ["admit a"]),
        (OPEN, []),
    ],
    ids=["closed", "another unit", "this unit"],
)
def test_a_gate_is_opened_for_the_unit_that_runs_and_only_for_it(
    gate: Admitting, planned: list[str]
) -> None:
    made = plan(target(WANT_A), behind_a_gate(world(WANT_A, A_RUNS), a=gate), NO_HINTS)
    assert steps(made) == planned


@pytest.mark.parametrize("phase", ["loading", "unclear", "other"])
def test_requests_do_not_reach_what_has_not_been_seen_to_serve(phase: Phase) -> None:
    seen = world(WANT_A, A_RUNS, health_a=Health(phase=phase, message="so"))
    made = plan(target(WANT_A), behind_a_gate(seen), NO_HINTS)
    assert "admit a" not in steps(made) or "await_healthy a" in steps(made)


@pytest.mark.parametrize("phase", ["sleeping", "locked"])
def test_what_wakes_up_or_refuses_by_itself_is_let_through(phase: Phase) -> None:
    seen = world(WANT_A, A_RUNS, health_a=Health(phase=phase, message="so"))
    assert steps(plan(target(WANT_A), behind_a_gate(seen), NO_HINTS)) == ["admit a"]


@pytest.mark.parametrize("found", [unit("a", leader=False), None], ids=["dead", "gone"])
def test_what_runs_no_more_is_let_through_once_it_is_started_again(found: Unit | None) -> None:
    seen = behind_a_gate(world(WANT_A, {"a": found} if found else {}))
    assert steps(plan(target(WANT_A), seen, NO_HINTS))[-2:] == ["await_healthy a", "admit a"]


def test_a_host_that_is_shut_down_lets_nothing_through() -> None:
    off = slice_of(("a",), A, B, power="off")
    made = plan(target(off), behind_a_gate(world(off, A_RUNS)), NO_HINTS)
    assert "admit a" not in steps(made)


def test_a_drain_waits_for_what_the_gateway_carries() -> None:
    idle = Activity(calm=True, slots=(Slot(id=0, busy=False),))
    seen = behind_a_gate(world(WANT_B, A_RUNS, activity_a=idle), a=OPEN)
    made = plan(target(WANT_B), seen, NO_HINTS)
    (drain,) = [planned.step for planned in made.steps if planned.step.kind == "drain"]
    busy = seen.seeing({TRAFFIC(HOST, "a"): Known(Traffic(in_flight=1))})
    assert (drain.holds(seen), drain.holds(busy)) == (True, False)


def test_requests_may_name_every_model_and_mean_the_main_one_where_it_is_clear() -> None:
    one = routes(Wanted(slices={HOST: WANT_B}, provenance=PROVENANCE))
    assert one.main == "b"
    assert set(one.models) == {
        Route(model="a", host=HOST, active=False),
        Route(model="b", host=HOST, active=True),
    }
    two = routes(Wanted(slices={HOST: WANT_B, "other": WANT_A}, provenance=PROVENANCE))
    assert two.main is None
    none = routes(Wanted(slices={HOST: slice_of(None, A)}, provenance=PROVENANCE))
    assert (none.main, none.models) == (None, (Route(model="a", host=HOST, active=False),))
