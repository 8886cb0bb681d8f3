"""What every plan keeps to, over hosts in all kinds of states."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from reconciler.core import gate, policy
from reconciler.core.backoff import Backoff, next_delay
from reconciler.core.canonical import digest
from reconciler.core.diff import diff
from reconciler.core.planner import plan
from reconciler.core.recovery import Hints, attempt_key
from reconciler.core.safety import violations
from reconciler.errors import PlanStale
from reconciler.model.change import Ignored
from reconciler.model.facts import GIB, Fact, FactKey, FactValue, Gpu, Known, Memory, Observed, PortOwner, Unit, Unknown
from reconciler.model.records import Quarantine
from reconciler.model.spec import Slice
from reconciler.model.target import Provenance, Target
from reconciler.render.json import plan_document
from reconciler.render.text import plan_text
from reconciler.steps.plan import HostPlan, Plan, PlannedStep
from reconciler.steps.step import ModelStep
from reconciler.verbs.apply import _compare
from tests.casefile import (
    Case,
    Given,
    Happened,
    ModelGiven,
    RunningGiven,
    SavedGiven,
    SlotGiven,
    WantedGiven,
    hints,
    seen,
    wanted_slice,
)
from tests.worlds import HOST, NO_HINTS, PROVENANCE, target, whole

QUICK = settings(deadline=None, max_examples=120)
T = TypeVar("T")
COVERED_BY = {
    "stop": {"stop"}, "start": {"start"}, "prove": {"await_healthy"}, "restore": {"restore_slots"},
    "power": {"wake", "shutdown", "suspend"},
}  # fmt: skip
DISRUPTIVE = {"stop", "start", "suspend", "shutdown"}
NOT_SEEN = Unknown("it hid")


def ordinary(first: T, *others: T) -> st.SearchStrategy[T]:
    """Return the first value every other time, or hosts would nearly always be broken."""
    return st.sampled_from([first] * len(others) + list(others))


SLOT = st.builds(SlotGiven, tokens=ordinary(500, None, 4, 1200), busy=ordinary(False, True))
UNIT = st.builds(
    RunningGiven,
    pid=st.just(100),
    definition=ordinary("wanted", "older", "of another version"),
    phase=ordinary("ready", "loading", "sleeping", "unresponsive"),
    message=st.just("as it is"),
    slots=st.lists(SLOT, max_size=2).map(tuple),
    died=ordinary(False, True),
)
SAVED = st.builds(
    SavedGiven,
    slot=st.integers(0, 1),
    tokens=st.sampled_from([500, 800]),
    fits=ordinary(True, False),
    tried=ordinary({}, {100: ("proven",)}, {100: ("open",)}, {100: ("failed",)}),
)
SAVES = st.lists(SAVED, max_size=2, unique_by=lambda slot: slot.slot).map(tuple)
MEMORY = st.builds(Memory, total=st.just(24 * GIB), free=st.sampled_from([24 * GIB, 8 * GIB, GIB]), holders=ordinary((), ("x",)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return a host that could be found, and a wish that the files could say."""
    apart = draw(st.booleans())
    models = {
        name: ModelGiven(
            port=8081 if apart and name == "b" else 8080,
            vram=draw(ordinary(None, 4 * GIB, 20 * GIB)),
            conversations=draw(ordinary("keep", "drop", "require")),
        )
        for name in ("a", "b")
    }
    both = [("a", "b")] if apart else []
    active = draw(st.sampled_from([None, (), ("a",), ("b",), *both]))
    runs = draw(st.sampled_from([(), ("a",), ("b",), *both]))
    found = Given(
        power=draw(ordinary("on", "off", "suspended")),
        cannot=draw(ordinary((), ("wake",), ("shut_down",))),
        running={name: draw(UNIT).model_copy(update={"pid": 100 + "ab".index(name)}) for name in runs},
        orphans=draw(ordinary({}, {"gone": RunningGiven(pid=7)}, {"gone": RunningGiven(pid=7, phase="unresponsive")})),
        saved={name: draw(SAVES) for name in models},
        gpu=draw(st.none() | MEMORY),
        ports=draw(ordinary({}, {8080: PortOwner(pid=9, name="nginx")})) if not runs else {},
    )
    wish = WantedGiven(power=draw(ordinary(None, "on", "off", "suspend")), active=active, models=models)
    return Case(says="", wanted=wish, given=found, prune=draw(st.booleans()))


def made(case: Case, world: Observed | None = None, known: Hints = NO_HINTS) -> HostPlan:
    return plan(target(wanted_slice(case)), seen(case) if world is None else world, known, prune=case.prune)


def document(made_: HostPlan) -> dict[str, Any]:
    return plan_document(whole(made_))


def worlds_of(planned: HostPlan, world: Observed) -> Iterator[tuple[PlannedStep, Observed, Observed]]:
    """Yield each step with the world before and after it."""
    for one in planned.steps:
        after = settled(one.step.predict(world))
        yield one, world, after
        world = after


def settled(world: Observed) -> Observed:
    """Return a world whose orphans are those that have a unit: the list is another view of the same units."""
    fact = world.fact(FactKey("orphans", HOST))
    if isinstance(fact, Unknown) or not isinstance(fact.value, tuple):
        return world
    left = tuple(unit for unit in fact.value if world.value(FactKey("unit", HOST, unit.mark.model), Unit) is not None)
    return world.seeing({FactKey("orphans", HOST): Known(left)})


ACTIVITIES: list[str] = []
LISTENING: list[bool] = []


def _listen(name: str, _arguments: object) -> None:
    if LISTENING and not name.startswith("object."):
        ACTIVITIES.append(name)


sys.addaudithook(_listen)


@contextmanager
def listened() -> Iterator[list[str]]:
    """Yield what Python's own audit sees inside: files opened, sockets, processes."""
    ACTIVITIES.clear()
    LISTENING.append(True)
    try:
        yield ACTIVITIES
    finally:
        LISTENING.clear()


@QUICK
@given(cases())
def test_planning_touches_nothing(case: Case) -> None:
    wanted, world = target(wanted_slice(case)), seen(case)
    before = plan(wanted, world, NO_HINTS, prune=case.prune)
    copy = Observed({key: world.fact(key) for key in world})
    with listened() as activities:
        after = plan(wanted, world, NO_HINTS, prune=case.prune)
    assert activities == []
    assert (after, world) == (before, copy)


def test_the_audit_sees_a_file_being_opened() -> None:
    with listened() as activities, open(__file__, encoding="utf-8"):  # noqa: PTH123 - the plainest open there is
        pass
    assert "open" in activities


@QUICK
@given(cases(), st.randoms(use_true_random=False))
def test_a_plan_is_the_same_whatever_order_things_were_seen_in(case: Case, random: Any) -> None:
    def shuffled(values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(random.sample(values, len(values)))

    wanted, world = wanted_slice(case), seen(case)
    strays = world.fact(FactKey("orphans", HOST))
    if isinstance(strays, Known) and isinstance(strays.value, tuple):
        twice = (
            *strays.value,
            *(unit.model_copy(update={"mark": unit.mark.model_copy(update={"model": "h"})}) for unit in strays.value),
        )
        world = world.seeing({FactKey("orphans", HOST): Known(twice)})
        turned: Fact[FactValue] = Known(shuffled(twice))
    else:
        turned = strays
    facts = {key: world.fact(key) for key in shuffled(tuple(world))} | {FactKey("orphans", HOST): turned}
    aim = target(wanted)
    mixed = aim.model_copy(update={"slice": wanted.model_copy(update={"models": shuffled(wanted.models)})})
    plans = [plan(one, where, NO_HINTS, prune=case.prune) for one, where in ((aim, world), (mixed, Observed(facts)))]
    assert json.dumps(document(plans[0])) == json.dumps(document(plans[1]))


@QUICK
@given(cases())
def test_after_its_own_steps_a_plan_is_empty(case: Case) -> None:
    planned = made(case)
    event(f"refused: {bool(planned.refusals)}, steps: {bool(planned.steps)}")
    if planned.refusals:
        return
    world = seen(case)
    for _, _, after in worlds_of(planned, world):
        world = after
    again = made(case, world)
    assert [f"{one.step.kind} {one.step.target}" for one in again.steps] == []
    assert again.refusals == ()


@QUICK
@given(cases())
def test_every_prefix_of_a_plan_is_safe(case: Case) -> None:
    planned = made(case)
    if planned.refusals:
        return
    wanted = wanted_slice(case)
    done: set[int] = set()
    for one, before, after in worlds_of(planned, seen(case)):
        step = one.step
        assert set(one.after) <= done, "a step runs before one that it waits for"
        done.add(one.number)
        assert step.blocked_by(before) == ()
        assert violations(after, wanted) == ()
        if step.kind == "start":
            assert before.value(FactKey("power", HOST), str) == "on"
            assert memory_is_enough(wanted, step.target, before)
        if step.kind in {"shutdown", "suspend"}:
            assert running(before, wanted) == []
        if step.kind == "stop" and step.keeps:
            assert ("save_slots", step.target) in {
                (other.step.kind, other.step.target) for other in planned.steps if other.number in done
            }


def memory_is_enough(wanted: Slice, model_name: str, world: Observed) -> bool:
    model = wanted.model(model_name)
    gpu = world.value(FactKey("gpu", HOST), Gpu)
    return model is None or gpu is None or gpu.memory is None or gpu.memory.free >= (model.vram_bytes or 0)


def running(world: Observed, wanted: Slice) -> list[str]:
    names = [*(model.name for model in wanted.models), "gone"]
    return [name for name in names if world.value(FactKey("unit", HOST, name), Unit) is not None]


@QUICK
@given(cases())
def test_what_cannot_be_seen_is_never_taken_for_absent(case: Case) -> None:
    """Whatever one fact is hidden: either the plan is refused, or it does nothing that it would not have done seeing it."""
    world = seen(case)
    clear = disruptions(made(case))
    for key in world:
        blind = made(case, world.seeing({key: NOT_SEEN}))
        reasons = gate.refusals(blind, world.seeing({key: NOT_SEEN}), "me", take_over=False)
        if reasons:
            continue
        for one in blind.steps:
            assert not one.step.destructive or key not in one.step.reads(), f"{one.step.kind} without {key}"
        if "wake" not in {one.step.kind for one in blind.steps}:
            assert disruptions(blind) <= clear, key


def disruptions(planned: HostPlan) -> set[tuple[str, str]]:
    return {(one.step.kind, one.step.target) for one in planned.steps if one.step.kind in DISRUPTIVE}


@pytest.mark.parametrize("kind", ["power", "unit", "port", "claim", "gpu"])
def test_a_refusal_names_what_cannot_be_seen(kind: str) -> None:
    case = Case(says="", wanted=WantedGiven(active=("a",)))
    key = next(key for key in seen(case) if key.kind == kind)
    world = seen(case).seeing({key: NOT_SEEN})
    assert f"{key}: it hid" in "\n".join(gate.refusals(made(case, world), world, "me", take_over=False))


@QUICK
@given(cases())
def test_every_step_has_a_cause_and_every_difference_a_step_or_a_reason(case: Case) -> None:
    planned = made(case)
    changes = diff(wanted_slice(case), seen(case), NO_HINTS, prune=case.prune).changes
    steps = [one.step for one in planned.steps]
    assert all(one.cause for one in planned.steps)
    for change in changes:
        if isinstance(change, Ignored):
            assert change in planned.ignored
            continue
        subject = getattr(change, "model", HOST)
        covered = any(step.kind in COVERED_BY[change.kind] and step.target == subject for step in steps)
        assert covered or planned.refusals, change
    subjects = {getattr(change, "model", HOST) for change in changes}
    assert {step.target for step in steps if isinstance(step, ModelStep)} <= subjects


@QUICK
@given(cases())
def test_a_plan_survives_json_and_its_text_comes_from_the_json_alone(case: Case) -> None:
    planned = made(case)
    assert HostPlan.model_validate_json(planned.model_dump_json()) == planned
    assert Plan.model_validate_json(whole(planned).model_dump_json()) == whole(planned)
    written = document(planned)
    read = json.loads(json.dumps(written))
    assert read == written
    assert plan_text(read) == plan_text(written)
    for one in planned.steps:
        assert one.note or one.cause in plan_text(read)


@QUICK
@given(cases(), cases())
def test_a_saved_plan_fits_exactly_the_plans_of_the_same_meaning(saved: Case, now: Case) -> None:
    before, after = made(saved), made(now)
    same = (before.digest, before.meaning) == (after.digest, after.meaning)
    assert stale(before, after) is not same
    busier = after.model_copy(
        update={
            "notes": ("somebody asks", *after.notes),
            "seconds": 12.0,
            "steps": tuple(one.model_copy(update={"note": "3 requests in flight"}) for one in after.steps),
        }
    )
    assert not stale(busier, after)


def stale(saved: HostPlan, now: HostPlan) -> bool:
    try:
        _compare(document(now), document(saved))
    except PlanStale:
        return True
    return False


def test_a_stale_plan_shows_what_is_no_longer_done_and_what_is_new() -> None:
    saved, now = (Case(says="", wanted=WantedGiven(active=(name,))) for name in ("a", "b"))
    with pytest.raises(PlanStale) as refused:
        _compare(document(made(now)), document(made(saved)))
    assert "  - box: start a" in refused.value.message
    assert "  + box: start b" in refused.value.message


@QUICK
@given(cases())
def test_a_rollback_is_the_plan_that_would_lead_to_last_good(case: Case) -> None:
    good = wanted_slice(case)
    failing = good.model_copy(update={"active": ("a",) if good.active != ("a",) else ("b",)})
    world = seen(case)
    failure = Quarantine(key=attempt_key(failing, digest(failing), world), reason="StartFailed", message="it died", run=1, at=0.0)
    known = Hints(last_good=good, last_good_digest=digest(good), quarantine=failure)
    aim = policy.aim(failing, known, world, wall=1.0)
    assert aim.target == Target(slice=good, digest=digest(good), mode="rollback")
    back = plan(aim.target, world, known, prune=case.prune)
    assert back.model_copy(update={"mode": "forward"}) == plan(target(good), world, known, prune=case.prune)


def retold(case: Case) -> Hints:
    """Return what another process reads from the same journal."""
    return hints(Case.model_validate_json(case.model_dump_json()))


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_every_wait_lies_within_the_policy(attempts: int, random: float) -> None:
    rule = Backoff()
    least = min(rule.initial * rule.factor ** min(attempts - 1, 64), rule.longest)
    assert least <= next_delay(rule, attempts, random) <= least * (1 + rule.jitter)
    assert next_delay(rule, attempts, random) <= next_delay(rule, attempts + 1, random)


@pytest.mark.parametrize("failures", [1, 2, 5, 9])
def test_failures_are_counted_across_restarts_and_grow_the_wait(failures: int) -> None:
    failed = Happened(run=("b",), ended="failed", said="it died", hours_ago=0.0)
    case = Case(says="", wanted=WantedGiven(active=("b",)), journal=(failed,) * failures)
    quarantine = retold(case).quarantine
    assert quarantine is not None
    assert quarantine.attempts == failures
    aim = policy.aim(wanted_slice(case), retold(case), seen(case), wall=quarantine.at)
    assert aim.retry_in == next_delay(policy.RETRY, failures, 0.0)
    later = policy.aim(wanted_slice(case), retold(case), seen(case), wall=quarantine.at + 5.0)
    assert later.retry_in == aim.retry_in - 5.0
    assert policy.aim(wanted_slice(case), retold(case), seen(case), wall=quarantine.at + 1e6).retry_in == 0.0


def test_another_wish_and_a_retry_begin_to_count_anew() -> None:
    failed = Happened(run=("b",), ended="failed", said="it died")
    other = Happened(run=("a",), ended="failed", said="it died")
    counted: Callable[..., int] = lambda *journal: (  # noqa: E731 - a fold in one line
        quarantine.attempts
        if (quarantine := retold(Case(says="", wanted=WantedGiven(active=("b",)), journal=journal)).quarantine)
        else 0
    )
    assert counted(failed, failed) == 2
    assert counted(failed, other, failed) == 1
    assert counted(failed, failed.model_copy(update={"then": "retry"})) == 0
    assert counted(failed, failed.model_copy(update={"then": "retry"}), failed) == 1


def test_a_file_that_changed_lifts_a_quarantine() -> None:
    failed = Happened(run=("b",), ended="failed", said="it died")
    case = Case(says="", wanted=WantedGiven(active=("b",)), journal=(failed,))
    key = FactKey("weights", HOST, "b")
    world = seen(case)
    fact = world.fact(key)
    assert isinstance(fact, Known)
    assert policy.aim(wanted_slice(case), hints(case), world, wall=0.0).quarantined
    newer = world.seeing({key: Known(fact.value.model_copy(update={"modified_ns": 1}))})  # type: ignore[union-attr]
    assert not policy.aim(wanted_slice(case), hints(case), newer, wall=0.0).quarantined


ORIGINS = [
    (PROVENANCE, "desired 4f1c2ab (committed, clean)"),
    (PROVENANCE.model_copy(update={"state": "modified"}), "desired 4f1c2ab + uncommitted changes (modified)"),
    (PROVENANCE.model_copy(update={"state": "untracked"}), "desired 4f1c2ab + uncommitted changes (untracked)"),
    (Provenance(digest="v1:sha256:" + "ab" * 32, state="not in git"), "desired abababa (not in git)"),
]


@pytest.mark.parametrize(("provenance", "said"), ORIGINS, ids=lambda value: getattr(value, "state", ""))
def test_every_plan_says_where_its_wish_was_read(provenance: Provenance, said: str) -> None:
    planned = made(Case(says="", wanted=WantedGiven(active=("a",))))
    written = plan_document(Plan(provenance=provenance, hosts=(planned,)))
    assert written["evidence"]["provenance"]["digest"] == provenance.digest
    assert said in plan_text(written)
