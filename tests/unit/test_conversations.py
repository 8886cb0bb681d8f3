"""What is said of a saved conversation, its length and its fate, is no more than is known."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from reconciler.core import conversations
from reconciler.core.conversations import BECAME
from reconciler.model.facts import (
    Activity,
    Fingerprint,
    Known,
    RestoreAttempt,
    Saved,
    SavedSlot,
    Slot,
)
from reconciler.model.observed import ACTIVITY, FINGERPRINT, Observed
from tests.sample_worlds import HOST, identity, model, saved_slot, slice_of, unit, world

RUNNING = {"a": unit("a")}


def seen(
    *slots: SavedSlot, running: bool = True, activity: Activity | None = None, **saved: Any
) -> Observed:
    found = world(
        slice_of(("a",), model("a")),
        RUNNING if running else {},
        saved_a=Saved(slots=slots, **saved),
    )
    return found if activity is None else found.seeing({ACTIVITY(HOST, "a"): Known(activity)})


def tried(outcome: str, reason: str = "", pid: int = 100) -> SavedSlot:
    attempt = RestoreAttempt.model_validate(
        {"identity": identity(pid), "outcome": outcome, "reason": reason}
    )
    return saved_slot("a", attempts=(attempt,))


def state(found: Observed) -> str:
    (told,) = conversations.saved_ones(found, HOST, "a")
    assert told.startswith("slot 0 (500 tokens), saved 19")
    return told.split(": ", 1)[1]


EMPTY = Activity(slots=(Slot(id=0, busy=False, tokens=None),))
USED = Activity(slots=(Slot(id=0, busy=False, tokens=300, task=9),))
STATES = [
    (
        seen(saved_slot("another build")),
        "waits for the weights, program and flags that it was saved with",
    ),
    (seen(tried("proven")), "was put back, and proven by replaying it"),
    (
        seen(tried("unverified", "its layout is not known")),
        "was put back, but not verified: its layout is not known",
    ),
    (seen(tried("cold", "its sha256 differs")), "started cold: its sha256 differs"),
    (
        seen(tried("failed", "Unable to restore slot")),
        "is not put back any more: that failed before: Unable to restore slot",
    ),
    (
        seen(saved_slot("a", attempts=tried("open").attempts * 3)),
        "is not put back any more: engines died each time they took it",
    ),
    (seen(saved_slot("a", pid=100)), "saved from the engine that runs"),
    (seen(saved_slot("a"), activity=EMPTY), "is put back by the next apply"),
    (seen(saved_slot("a"), activity=USED), "is not put back: clients use its slot already"),
    (seen(tried("open"), activity=EMPTY), "is put back by the next apply"),
    (seen(saved_slot("a"), running=False), "comes back when a is started"),
    (
        seen(tried("cold", "clients use the slot already", pid=7), running=False),
        "comes back when a is started; last time it started cold: clients use the slot already",
    ),
]


@pytest.mark.parametrize(("found", "said"), STATES, ids=[said for _, said in STATES])
def test_each_saved_conversation_is_told_by_what_became_of_it(found: Observed, said: str) -> None:
    assert state(found) == said


def test_one_that_was_not_looked_for_is_not_said_to_come_back() -> None:
    found = seen(saved_slot("a"))
    hidden = Observed({key: found.fact(key) for key in found if key.kind != "activity"})
    assert state(hidden) == "was not tried in what runs now"


def test_what_is_damaged_is_told_beside_what_is_saved() -> None:
    found = seen(saved_slot("a"), problems=("slot file x is missing",))
    assert list(conversations.saved_ones(found, HOST, "a"))[1] == "slot file x is missing"
    assert conversations.unfit(found, HOST, "a") == ("a: slot file x is missing",)


def test_without_a_look_at_the_folder_nothing_is_told() -> None:
    assert list(conversations.saved_ones(Observed(), HOST, "a")) == []
    assert conversations.unfit(Observed(), HOST, "a") == ()


@pytest.mark.parametrize(
    ("number", "which"), [(1, "1 saved conversation was"), (2, "2 saved conversations were")]
)
def test_what_waits_for_its_own_definition_is_told_as_such(number: int, which: str) -> None:
    slots = [saved_slot("another build", slot=slot) for slot in range(number)]
    said = f"a: {which} made with other weights, program or flags, and only those can continue it"
    assert conversations.unfit(seen(*slots), HOST, "a") == (said,)


def test_a_slot_that_the_engine_has_not_is_told_by_its_number() -> None:
    found = seen(saved_slot("a", slot=10**12)).seeing(
        {FINGERPRINT(HOST, "a"): Known(Fingerprint(digest="a", places=2))}
    )
    (note,) = conversations.unfit(found, HOST, "a")
    assert f"there is no slot {10**12} for slot file a.bin" in note


def test_a_conversation_that_is_too_large_for_a_slot_is_told_with_what_to_raise() -> None:
    wanted = {FINGERPRINT(HOST, "a"): Known(Fingerprint(digest="a", capacity=512))}
    found = seen(saved_slot("a", 513), saved_slot("a", 512, slot=1)).seeing(wanted)
    assert conversations.unfit(found, HOST, "a") == (
        "a: slot 0 (513 tokens) is not put back: 512 tokens fit into a slot; raise `context:`"
        " for it",
    )


def test_every_outcome_of_a_restore_has_its_words() -> None:
    outcomes = get_args(RestoreAttempt.model_fields["outcome"].annotation)
    assert set(BECAME) == set(outcomes)
    told = {
        one: conversations.became("a", {"slot": 1, "tokens": 1200, "outcome": one, "reason": "why"})
        for one in outcomes
    }
    assert told["unverified"] == "a: slot 1 (1,200 tokens) was put back, but not verified: why"
    assert [one for one in outcomes if not told[one]] == ["proven"]


def test_a_saved_conversation_whose_slot_a_client_took_first_is_evidence_of_the_restore() -> None:
    assert conversations.left_out(seen(saved_slot("a"), activity=EMPTY), HOST, "a") == []
    assert conversations.left_out(seen(tried("cold"), activity=USED), HOST, "a") == []
    (one,) = conversations.left_out(seen(saved_slot("a"), activity=USED), HOST, "a")
    assert (one["slot"], one["tokens"], one["outcome"], one["reason"]) == (
        0,
        500,
        "cold",
        "clients use its slot already",
    )


@pytest.mark.parametrize(
    ("count", "were"), [(1, "1 conversation was"), (3, "3 conversations were")]
)
def test_what_was_lost_is_counted(count: int, were: str) -> None:
    assert conversations.lost("a", count) == f"a: {were} lost that the plan meant to keep"
