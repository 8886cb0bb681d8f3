"""Whether clients use an engine: a look tells what runs, two whether anything ran in between."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from reconciler.model.facts import Activity, Known, Slot
from reconciler.model.observed import ACTIVITY, Observed
from reconciler.steps.drain import Drain
from reconciler.steps.save_slots import SaveSlots, used_since
from tests.sample_worlds import HOST, identity, model, slice_of, unit, world

IDLE = Activity(identity=identity(100), slots=(Slot(id=0, busy=False, tokens=500, task=7),))
BUSY = IDLE.model_copy(update={"slots": (Slot(id=0, busy=True, tokens=500, task=8),)})
LATER = IDLE.model_copy(update={"slots": (Slot(id=0, busy=False, tokens=520, task=8),)})
DRAIN, SAVE = Drain(host=HOST, model="a"), SaveSlots(host=HOST, model="a")


def seen(activity: Activity) -> Observed:
    wanted = slice_of((), model("a"))
    return world(wanted, {"a": unit("a")}).seeing({ACTIVITY(HOST, "a"): Known(activity)})


@dataclass(frozen=True)
class Looks:
    before: Activity
    now: Activity
    calm: bool


@pytest.mark.parametrize(
    "looks",
    [
        Looks(IDLE, IDLE, calm=True),
        Looks(BUSY, IDLE, calm=False),
        Looks(IDLE, BUSY, calm=False),
        Looks(BUSY, BUSY, calm=False),
        Looks(IDLE, LATER, calm=False),
        Looks(IDLE, IDLE.model_copy(update={"deferred": 3}), calm=False),
        Looks(IDLE.model_copy(update={"deferred": 3}), IDLE, calm=False),
        Looks(IDLE, IDLE.model_copy(update={"identity": identity(7)}), calm=False),
    ],
)
def test_an_engine_is_drained_when_two_looks_find_it_idle_and_the_same(looks: Looks) -> None:
    now = looks.now.following(looks.before)
    assert (now.calm, DRAIN.holds(seen(now))) == (looks.calm, looks.calm)
    assert not DRAIN.holds(seen(looks.now)), "one look is not enough"


def test_an_engine_that_is_gone_is_drained() -> None:
    assert DRAIN.holds(seen(Activity(calm=True)))


@pytest.mark.parametrize(
    ("before", "after", "used"),
    [(IDLE, IDLE, False), (IDLE, BUSY, True), (IDLE, LATER, True), (BUSY, BUSY, True)],
)
def test_a_slot_that_is_unsaved_because_a_client_came_is_told_from_one_that_could_not_be(
    before: Activity, after: Activity, used: bool
) -> None:
    assert used_since(seen(before), seen(after), SAVE) is used


def test_a_save_that_has_ended_and_left_out_slots_is_not_waited_for() -> None:
    two = IDLE.model_copy(
        update={"slots": (*IDLE.slots, Slot(id=3, busy=False, tokens=90, task=2))}
    )
    assert SAVE.cannot_succeed_reason(seen(IDLE)) == "slot 0 was not saved"
    assert SAVE.cannot_succeed_reason(seen(two)) == "slots 0, 3 were not saved"
    assert SAVE.cannot_succeed_reason(seen(Activity())) == ""


def test_a_run_goes_on_without_saving_unless_conversations_are_required() -> None:
    assert SaveSlots(host=HOST, model="a").gives_up
    assert not SaveSlots(host=HOST, model="a", required=True).gives_up
