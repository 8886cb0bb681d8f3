"""What every plan keeps to, over hosts in all kinds of states."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from reconciler.core import gate, observe_scope
from reconciler.core.diff import diff
from reconciler.core.phrases import obstacle
from reconciler.core.planner import plan
from reconciler.core.recovery import Hints
from reconciler.core.safety import violations
from reconciler.errors import PlanStale
from reconciler.model.change import Ignored
from reconciler.model.facts import Fact, Known, Unknown
from reconciler.model.observed import GPU, ORPHANS, UNIT, AnyFactKey, FactValue, Observed
from reconciler.model.spec import Slice
from reconciler.model.target import Provenance
from reconciler.render.json import plan_document
from reconciler.render.text import plan_text
from reconciler.steps.plan import HostPlan, Plan, PlannedStep
from reconciler.steps.step import ModelStep
from reconciler.steps.stop import Stop
from reconciler.verbs.saved_plan import compare
from tests.casefile import FOLDER, Case, RoomGiven, WantedGiven, read
from tests.casework import hints, seen, wanted_slice
from tests.sample_worlds import HOST, NO_HINTS, OURS, PROVENANCE, target, whole
from tests.situations import cases, document, made

T = TypeVar("T")
QUICK = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
"""How busy the machine is decides nothing."""
COVERED_BY = {
    "stop": {"stop"}, "start": {"start"}, "prove": {"await_healthy"}, "restore": {"restore_slots"},
    "power": {"wake", "shutdown", "suspend"},
}  # fmt: skip
DISRUPTIVE = {"stop", "start", "suspend", "shutdown"}
NOT_SEEN = Unknown("it hid")


def at_a_glance(wanted: Slice, world: Observed, names: Iterable[str], known: Hints) -> Observed:
    """Return of a world what is seen by one who looks at the files of these models."""

    def looking(keys: Iterable[AnyFactKey], before: Observed) -> Observed:
        return before.seeing({key: world.fact(key) for key in keys})

    first = looking(observe_scope.cheap_facts(wanted, frozenset(names)), Observed())
    second = looking(
        (*observe_scope.found_facts(wanted, first), *observe_scope.orphan_facts(wanted, first)),
        first,
    )
    return looking(observe_scope.costly_facts(wanted, second, known), second)


@QUICK
@given(cases() | st.sampled_from(sorted(FOLDER.glob("*.yaml"))).map(read))
@example(read(FOLDER / "replaced_files_switch.yaml"))
def test_a_pass_looks_at_all_that_its_plan_depends_on(case: Case) -> None:
    wanted, known, world = target(wanted_slice(case)), hints(case), seen(case)
    names, may_run = [one.name for one in wanted.slice.models], observe_scope.may_run
    everything = at_a_glance(wanted.slice, world, names, known)
    for_planning = at_a_glance(wanted.slice, world, may_run(wanted.slice, known), known)
    assert plan(wanted, for_planning, known, prune=case.prune) == plan(
        wanted, everything, known, prune=case.prune
    )


def worlds_of(
    planned: HostPlan, world: Observed
) -> Iterator[tuple[PlannedStep, Observed, Observed]]:
    """Yield each step with the world before and after it."""
    for one in planned.steps:
        after = settled(one.step.predict(world))
        yield one, world, after
        world = after


def settled(world: Observed) -> Observed:
    """A world whose orphans are those with a unit: the list is another view of the same units."""
    fact = world.fact(ORPHANS(HOST))
    if isinstance(fact, Unknown) or not isinstance(fact.value, tuple):
        return world
    left = tuple(
        unit for unit in fact.value if world.value(UNIT(HOST, unit.mark.model)) is not None
    )
    return world.seeing({ORPHANS(HOST): Known(left)})


ACTIVITIES: list[str] = []
LISTENING: list[int] = []
"""The thread that is listened to; others, of the test runner, may do what they like."""


def _listen(name: str, _arguments: object) -> None:
    if threading.get_ident() in LISTENING and not name.startswith("object."):
        ACTIVITIES.append(name)


sys.addaudithook(_listen)


@contextmanager
def listened() -> Iterator[list[str]]:
    """Yield what Python's own audit sees inside: files opened, sockets, processes."""
    ACTIVITIES.clear()
    LISTENING.append(threading.get_ident())
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
    with (
        listened() as activities,
        open(__file__, encoding="utf-8"),  # noqa: PTH123 - the plainest open there is
    ):
        pass
    assert "open" in activities


@QUICK
@given(cases(), st.randoms(use_true_random=False))
def test_a_plan_is_the_same_whatever_order_things_were_seen_in(case: Case, random: Any) -> None:
    def shuffled(values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(random.sample(values, len(values)))

    wanted, world = wanted_slice(case), seen(case)
    strays = world.fact(ORPHANS(HOST))
    if isinstance(strays, Known) and isinstance(strays.value, tuple):
        twice = (
            *strays.value,
            *(
                unit.model_copy(update={"mark": unit.mark.model_copy(update={"model": "h"})})
                for unit in strays.value
            ),
        )
        world = world.seeing({ORPHANS(HOST): Known(twice)})
        turned: Fact[FactValue] = Known(shuffled(twice))
    else:
        turned = strays
    facts = {key: world.fact(key) for key in shuffled(tuple(world))} | {ORPHANS(HOST): turned}
    aim = target(wanted)
    mixed = aim.model_copy(
        update={"slice": wanted.model_copy(update={"models": shuffled(wanted.models)})}
    )
    plans = [
        plan(one, where, NO_HINTS, prune=case.prune)
        for one, where in ((aim, world), (mixed, Observed(facts)))
    ]
    assert document(plans[0]).model_dump_json() == document(plans[1]).model_dump_json()


@QUICK
@given(cases())
def test_no_plan_does_a_thing_twice(case: Case) -> None:
    done = [(planned.step.kind, planned.step.target) for planned in made(case).steps]
    assert len(done) == len(set(done))


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
            assert before.power(HOST) == "on"
            assert memory_is_enough(wanted, step.target, before)
        if step.kind in {"shutdown", "suspend"}:
            assert running(before, wanted) == []
        if step.kind == "stop" and step.keeps:
            assert ("save_slots", step.target) in {
                (other.step.kind, other.step.target)
                for other in planned.steps
                if other.number in done
            }


@QUICK
@given(cases())
@example(read(FOLDER / "slots_folder_read_only.yaml"))
@example(read(FOLDER / "slots_folder_closed_and_required.yaml"))
def test_a_plan_counts_every_conversation_that_there_is_no_room_for(case: Case) -> None:
    planned = made(case)
    stops = [one.step for one in planned.steps if isinstance(one.step, Stop)]
    without = sum(step.unsavable for step in stops)
    event(f"without room: {bool(without)}")
    assert planned.lost_conversations is None or planned.lost_conversations >= without
    for step in stops:
        if step.unsavable:
            assert step.keeps
            said = [
                one
                for one in (*planned.notes, *planned.refusals)
                if one.startswith(step.model) and without_place(one, case.given.room[step.model])
            ]
            model = wanted_slice(case).model(step.model)
            assert said
            assert model is not None
            assert bool(planned.refusals) >= (model.conversations == "require")


def without_place(said: str, room: RoomGiven) -> bool:
    """Whether a sentence says why a conversation has no place to be saved in."""
    if room.obstacle:
        return obstacle(room.obstacle, room.nearest) in said
    return "can be made free" in said


def memory_is_enough(wanted: Slice, model_name: str, world: Observed) -> bool:
    model = wanted.model(model_name)
    gpu = world.value(GPU(HOST))
    if model is None or gpu is None or not gpu.cards:
        return True
    need = model.vram_bytes or 0
    return gpu.free >= need and all(
        gpu.only(card).free * len(model.gpus) >= need for card in model.gpus
    )


def running(world: Observed, wanted: Slice) -> list[str]:
    names = [*(model.name for model in wanted.models), "gone"]
    return [name for name in names if world.value(UNIT(HOST, name)) is not None]


@QUICK
@given(cases())
def test_what_cannot_be_seen_is_never_taken_for_absent(case: Case) -> None:
    """With one fact hidden, a plan is refused or does only what it would do seeing it."""
    world = seen(case)
    clear = disruptions(made(case))
    for key in world:
        blind = made(case, world.seeing({key: NOT_SEEN}))
        reasons = gate.refusals(blind, world.seeing({key: NOT_SEEN}), OURS, take_over=False)
        if reasons:
            continue
        for one in blind.steps:
            assert not one.step.destructive or key not in one.step.reads(), (
                f"{one.step.kind} without {key}"
            )
        if "wake" not in {one.step.kind for one in blind.steps}:
            assert disruptions(blind) <= clear, key


def disruptions(planned: HostPlan) -> set[tuple[str, str]]:
    return {
        (one.step.kind, one.step.target) for one in planned.steps if one.step.kind in DISRUPTIVE
    }


@pytest.mark.parametrize("kind", ["power", "unit", "port", "claim", "gpu"])
def test_a_refusal_names_what_cannot_be_seen(kind: str) -> None:
    case = Case(says="", wanted=WantedGiven(active=("a",)))
    key = next(key for key in seen(case) if key.kind == kind)
    world = seen(case).seeing({key: NOT_SEEN})
    assert f"{key}: it hid" in "\n".join(
        gate.refusals(made(case, world), world, OURS, take_over=False)
    )


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
        covered = any(
            step.kind in COVERED_BY[change.kind] and step.target == subject for step in steps
        )
        assert covered or planned.refusals, change
    subjects = {getattr(change, "model", HOST) for change in changes}
    assert {step.target for step in steps if isinstance(step, ModelStep)} <= subjects


@QUICK
@given(cases())
def test_a_plan_survives_json_and_its_text_comes_from_the_json_alone(case: Case) -> None:
    planned = made(case)
    assert HostPlan.model_validate_json(planned.model_dump_json()) == planned
    assert Plan.model_validate_json(whole(planned).model_dump_json()) == whole(planned)
    written = document(planned).model_dump(mode="json")
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
            "steps": tuple(
                one.model_copy(update={"note": "3 requests in flight"}) for one in after.steps
            ),
        }
    )
    assert not stale(busier, after)


def stale(saved: HostPlan, now: HostPlan) -> bool:
    try:
        compare(document(now), document(saved).model_dump(mode="json"))
    except PlanStale:
        return True
    return False


def test_a_stale_plan_shows_what_is_no_longer_done_and_what_is_new() -> None:
    saved, now = (Case(says="", wanted=WantedGiven(active=(name,))) for name in ("a", "b"))
    with pytest.raises(PlanStale) as refused:
        compare(document(made(now)), document(made(saved)).model_dump(mode="json"))
    assert "  - box: start a" in refused.value.message
    assert "  + box: start b" in refused.value.message


ORIGINS = [
    (PROVENANCE, "desired 4f1c2ab (committed, clean)"),
    (
        PROVENANCE.model_copy(update={"state": "modified"}),
        "desired 4f1c2ab + uncommitted changes (modified)",
    ),
    (
        PROVENANCE.model_copy(update={"state": "untracked"}),
        "desired 4f1c2ab + uncommitted changes (untracked)",
    ),
    (
        Provenance(digest="v1:sha256:" + "ab" * 32, state="not in git"),
        "desired abababa (not in git)",
    ),
]


@pytest.mark.parametrize(
    ("provenance", "said"), ORIGINS, ids=lambda value: getattr(value, "state", "")
)
def test_every_plan_says_where_its_wish_was_read(provenance: Provenance, said: str) -> None:
    planned = made(Case(says="", wanted=WantedGiven(active=("a",))))
    written = plan_document(Plan(provenance=provenance, hosts=(planned,)))
    assert written.evidence.provenance.digest == provenance.digest
    assert said in plan_text(written.model_dump(mode="json"))
