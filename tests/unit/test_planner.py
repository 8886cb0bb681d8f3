"""Plans, as a person reads them, in the situations that matter."""

from __future__ import annotations

from typing import get_args

import pytest

from reconciler.core.canonical import digest
from reconciler.core.planner import plan
from reconciler.model.facts import Activity, Health, Phase, Saved, Slot, Unknown, Weights
from reconciler.model.gpu import Card, Gpu, Holder
from reconciler.model.observed import GPU, PORT, Observed
from reconciler.model.port import PortOwner, PortState
from reconciler.model.power import Power
from reconciler.model.spec import Capabilities
from reconciler.render.json import plan_document
from reconciler.render.text import plan_text
from reconciler.steps.await_vram import AwaitVram, Share
from reconciler.steps.plan import HostPlan
from tests.sample_worlds import (
    HOST,
    NO_HINTS,
    model,
    saved_slot,
    slice_of,
    target,
    unit,
    whole,
    world,
)

A, B = model("a"), model("b")
WANT_B = slice_of(("b",), A, B)
A_RUNS = {"a": unit("a")}
GIB = 1024**3


def kinds(made: HostPlan) -> list[str]:
    return [planned.step.kind for planned in made.steps]


def lines(made: HostPlan) -> list[str]:
    return [
        line.rstrip()
        for line in plan_text(plan_document(whole(made)).model_dump(mode="json")).splitlines()
    ]


def test_a_switch_saves_stops_and_starts() -> None:
    made = plan(target(WANT_B), world(WANT_B, A_RUNS), NO_HINTS)
    assert lines(made) == [
        (
            "box: a -> b                                                   desired 4f1c2ab"
            " (committed, clean)"
        ),
        "   1  prefetch       b                                 active model changes",
        "   2  drain          a                                 active model changes",
        "   3  save_slots     a                    after 2      1 slot holds 500 tokens",
        "   4  stop           a                    after 3      active model changes",
        "   5  start          b                    after 4      active model changes",
        "   6  await_healthy  b                    after 5      active model changes",
        "Plan: 1 to stop, 1 to start. 0 conversations lost.",
    ]


@pytest.mark.parametrize("phase", get_args(Phase))
@pytest.mark.parametrize("definition", ["wanted", "older"])
def test_what_is_to_go_on_is_stopped_only_for_silence_for_a_stranger_or_for_another_definition(
    phase: Phase, definition: str
) -> None:
    want = slice_of(("a",), A, B)
    runs = {"a": unit("a", digest=digest("a" if definition == "wanted" else "older"))}
    made = plan(
        target(want), world(want, runs, health_a=Health(phase=phase, message="so")), NO_HINTS
    )
    stops = "stop" in kinds(made) and not made.refusals
    closed = phase in {"locked", "unclear"}
    assert stops == (
        phase in {"unresponsive", "stranger"} or (definition == "older" and not closed)
    )


@pytest.mark.parametrize("phase", get_args(Phase))
def test_nothing_that_may_hold_a_conversation_is_stopped_before_a_look(
    phase: Phase,
) -> None:
    made = plan(
        target(WANT_B), world(WANT_B, A_RUNS, health_a=Health(phase=phase, message="so")), NO_HINTS
    )
    looked = "save_slots" in kinds(made)
    holds_nothing = phase in {"absent", "sleeping", "loading", "unresponsive", "stranger"}
    assert looked or holds_nothing or "`conversations: drop`" in made.refusals[0]


def test_a_state_that_is_reached_needs_nothing() -> None:
    want = slice_of(("a",), A, B)
    made = plan(target(want), world(want, A_RUNS), NO_HINTS)
    assert lines(made)[-1] == "Plan: nothing to do."
    assert not made.refusals


def test_a_saved_conversation_is_planned_to_come_back() -> None:
    made = plan(
        target(WANT_B), world(WANT_B, A_RUNS, saved_b=Saved(slots=(saved_slot("b"),))), NO_HINTS
    )
    assert kinds(made)[-1] == "restore_slots"
    assert made.steps[-1].note == "1 slot saved (500 tokens)"


def test_a_conversation_that_is_owed_after_a_crash_is_restored() -> None:
    want = slice_of(("a",), A)
    idle = Activity(slots=(Slot(id=0, busy=False),))
    made = plan(
        target(want),
        world(want, A_RUNS, saved_a=Saved(slots=(saved_slot("a"),)), activity_a=idle),
        NO_HINTS,
    )
    assert kinds(made) == ["restore_slots"]


def test_a_slot_that_clients_used_is_never_restored_over() -> None:
    want = slice_of(("a",), A)
    made = plan(
        target(want), world(want, A_RUNS, saved_a=Saved(slots=(saved_slot("a"),))), NO_HINTS
    )
    assert kinds(made) == []


def test_off_to_on_is_planned_over_a_predicted_boot() -> None:
    want = slice_of(("a",), A, power="on", capabilities=Capabilities(can_wake=True))
    made = plan(target(want), world(want, power=Power(state="off")), NO_HINTS)
    assert kinds(made) == ["wake", "start", "await_healthy"]
    assert [planned.predicted for planned in made.steps] == [False, True, True]
    assert made.refusals == ()


def test_on_to_off_saves_and_stops_before_it_shuts_down() -> None:
    want = slice_of(("a",), A, power="off", capabilities=Capabilities(can_shut_down=True))
    made = plan(target(want), world(want, A_RUNS), NO_HINTS)
    assert kinds(made) == ["drain", "save_slots", "stop", "shutdown"]
    assert [step.irreversible for step in made.meaning] == [False, False, False, True]


def test_power_that_no_driver_can_change_is_refused() -> None:
    want = slice_of((), A, power="off")
    assert "cannot make it off" in plan(target(want), world(want), NO_HINTS).refusals[0]


def test_memory_that_comes_back_from_what_was_stopped_is_to_be_seen_twice() -> None:
    assert AwaitVram(host=HOST, need_bytes=GIB).sightings == 1
    assert AwaitVram(host=HOST, need_bytes=GIB, frees_bytes=GIB).sightings == 2
    shares = (Share(card=0, need_bytes=GIB), Share(card=1, need_bytes=GIB, frees_bytes=GIB))
    assert AwaitVram(host=HOST, need_bytes=2 * GIB, shares=shares).sightings == 2


def test_memory_that_cannot_be_read_any_more_is_not_waited_for_after_a_stop() -> None:
    step, seen = AwaitVram(host=HOST, need_bytes=GIB), world(WANT_B, A_RUNS)
    assert not step.may_proceed_unknown(seen)
    assert step.may_proceed_unknown(seen.seeing({GPU(HOST): Unknown("it hid")}))


def test_unknown_vram_refuses_start() -> None:
    seen = world(WANT_B, A_RUNS).seeing({GPU(HOST): Unknown("no driver")})
    made = plan(target(WANT_B), seen, NO_HINTS)
    assert any("gpu box: no driver" in reason for reason in made.refusals)


def test_memory_that_a_stranger_holds_refuses_start() -> None:
    big = model("b", vram_bytes=20 * GIB)
    want = slice_of(("b",), A, big)
    full = Gpu(
        cards=(Card(total=24 * GIB, free=2 * GIB, holders=(Holder(pid=7, name="blender"),)),)
    )
    assert any(
        "blender (pid 7)" in reason
        for reason in plan(target(want), world(want, A_RUNS, gpu=full), NO_HINTS).refusals
    )


def test_a_stranger_on_the_port_refuses_start() -> None:
    busy = world(WANT_B, port_8080=PortState(owner=PortOwner(pid=9, name="nginx")))
    assert any(
        "nginx (pid 9)" in reason for reason in plan(target(WANT_B), busy, NO_HINTS).refusals
    )


@pytest.mark.parametrize("kind", ["unit", "activity", "saved", "fingerprint", "health"])
def test_any_unknown_that_a_destructive_step_reads_refuses_it(kind: str) -> None:
    seen = world(WANT_B, A_RUNS)
    key = next(key for key in seen if key.kind == kind and key.subject == "a")
    made = plan(target(WANT_B), seen.seeing({key: Unknown("it hid")}), NO_HINTS)
    assert any("it hid" in reason for reason in made.refusals)


def test_a_model_that_cannot_restore_says_so_with_the_remedy() -> None:
    sliding = Weights(
        path="a.gguf",
        exists=True,
        architecture="gemma3",
        keepable=False,
        remedy='add "--swa-full" to args',
    )
    made = plan(target(WANT_B), world(WANT_B, A_RUNS, weights_a=sliding), NO_HINTS)
    assert "save_slots" not in kinds(made)
    assert made.lost_conversations == 1
    assert "--swa-full" in made.notes[0]


def test_required_conversations_that_cannot_be_kept_refuse_the_stop() -> None:
    needed = model("a", conversations="require")
    want = slice_of(("b",), needed, B)
    hung = Health(phase="unresponsive", message="silent")
    assert (
        "conversations: require"
        in plan(target(want), world(want, A_RUNS, health_a=hung), NO_HINTS).refusals[0]
    )


def test_a_hung_engine_is_replaced() -> None:
    want = slice_of(("a",), A)
    made = plan(
        target(want),
        world(want, A_RUNS, health_a=Health(phase="unresponsive", message="silent")),
        NO_HINTS,
    )
    assert kinds(made) == ["prefetch", "stop", "start", "await_healthy"]


def test_a_changed_definition_is_replaced_and_its_conversations_are_said_to_end() -> None:
    want = slice_of(("a",), A)
    old = {"a": unit("a", digest="v1:sha256:" + "0" * 64)}
    made = plan(target(want), world(want, old), NO_HINTS)
    assert "stop" in kinds(made)
    assert "another definition" in made.notes[0]


def test_a_mark_of_another_version_is_adopted() -> None:
    want = slice_of(("a",), A)
    made = plan(target(want), world(want, {"a": unit("a", digest="v9:blake:00000000")}), NO_HINTS)
    assert kinds(made) == []
    assert "adopted" in made.ignored[0].cause


@pytest.mark.parametrize("prune", [True, False])
def test_an_orphan_is_shown_and_only_stopped_when_asked(prune: bool) -> None:
    want = slice_of(("a",), A)
    stray = unit("gone", pid=7)
    seen = world(
        want, A_RUNS, strays=(stray,), unit_gone=stray, health_gone=Health(phase="unresponsive")
    )
    seen = seen.seeing({PORT(HOST, 0): world(want).fact(PORT(HOST, 8080))})
    made = plan(target(want), seen, NO_HINTS, prune=prune)
    assert kinds(made) == (["stop"] if prune else [])
    assert bool(made.ignored) is not prune


def test_an_observation_is_the_same_whatever_its_order() -> None:
    seen = world(WANT_B, A_RUNS)
    turned = Observed({key: seen.fact(key) for key in reversed(list(seen))})
    assert plan(target(WANT_B), seen, NO_HINTS) == plan(target(WANT_B), turned, NO_HINTS)


def test_every_predicted_prefix_ends_in_the_target() -> None:
    seen = world(WANT_B, A_RUNS)
    made = plan(target(WANT_B), seen, NO_HINTS)
    for planned in made.steps:
        assert planned.step.blocked_by(seen) == ()
        seen = planned.step.predict(seen)
        assert planned.step.holds(seen)
    assert kinds(plan(target(WANT_B), seen, NO_HINTS)) == []
