"""Conversations: what became of those that are saved, and of those that were lost, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.core.deadlines import said_at
from reconciler.model.facts import Fingerprint, RestoreAttempt, Saved, SavedSlot, Unit
from reconciler.model.observed import Observed
from reconciler.model.sight import ModelSight
from reconciler.steps.restore_slots import gave_up, owed_slots, taken_slots

BECAME = {
    "proven": "was put back, and proven by replaying it",
    "cold": "started cold",
    "unverified": "was put back, but not verified",
    "failed": "could not be put back",
    "open": "was being put back when that was cut short",
}
"""What a person needs to know of a saved conversation after each outcome of a restore."""

IN_USE = "clients use its slot already"
WAITS = "waits for the weights, program and flags that it was saved with"


def lost(model_name: str, count: int) -> str:
    """That conversations of a model were lost which the plan meant to keep."""
    lost_ones = "1 conversation was" if count == 1 else f"{count} conversations were"
    return f"{model_name}: {lost_ones} lost that the plan meant to keep"


def became(model_name: str, slot: Mapping[str, Any]) -> str:
    """What the evidence of a restore says of one slot, empty where all is well."""
    if slot["outcome"] == "proven":
        return ""
    outcome = _because(BECAME[slot["outcome"]], slot.get("reason", ""))
    return f"{model_name}: {_named(slot['slot'], slot['tokens'])} {outcome}"


def left_out(world: Observed, host: str, model_name: str) -> list[dict[str, Any]]:
    """The saved slots that a restore did not try because of clients, told as a restore tells."""
    taken = taken_slots(ModelSight(world, host, model_name))
    return [
        {"slot": one.slot, "tokens": one.tokens, "outcome": "cold", "reason": IN_USE}
        for one in taken
    ]


def unfit(world: Observed, host: str, model_name: str) -> tuple[str, ...]:
    """What of a model's folder will not be put back when it is started, and why."""
    seen = ModelSight(world, host, model_name)
    saved, wanted = seen.saved or Saved(), seen.fingerprint
    sentences = [*saved.problems, *_refusals(saved, wanted)]
    if waiting := sum(_waits(slot, wanted) for slot in saved.slots):
        sentences.append(_made_otherwise(waiting))
    return tuple(f"{model_name}: {sentence}" for sentence in sentences)


def outgrown(seen: ModelSight) -> tuple[str, ...]:
    """What an engine holds that is too large for a slot of the definition that is wanted."""
    activity, wanted = seen.activity, seen.fingerprint
    if activity is None or wanted is None:
        return ()
    return tuple(
        f"{seen.model}: {_named(slot.id, slot.tokens or 0)} {_too_large(wanted)}"
        for slot in activity.slots
        if slot.holds_conversation and not wanted.has_room(slot.tokens or 0)
    )


def _refusals(saved: Saved, wanted: Fingerprint | None) -> Iterator[str]:
    for slot in saved.slots:
        if why := _refused(slot, wanted):
            yield f"{_named(slot.slot, slot.tokens)} {why}"


def _made_otherwise(count: int) -> str:
    which = "1 saved conversation was" if count == 1 else f"{count} saved conversations were"
    return f"{which} made with other weights, program or flags, and only those can continue it"


def saved_ones(world: Observed, host: str, model_name: str) -> Iterator[str]:
    """Each saved conversation: its length, its age and what became of it; then what is damaged."""
    seen = ModelSight(world, host, model_name)
    saved = seen.saved or Saved()
    for slot in saved.slots:
        named = _named(slot.slot, slot.tokens)
        yield f"{named}, saved {said_at(slot.saved_at)}: {_state(slot, seen)}"
    yield from saved.problems


def _state(slot: SavedSlot, seen: ModelSight) -> str:
    if _waits(slot, seen.fingerprint):
        return WAITS
    if why := _refused(slot, seen.fingerprint):
        return why
    last = slot.attempts[-1] if slot.attempts else None
    if seen.unit is None:
        before = f"; last time it {_tried(last)}" if last else ""
        return f"comes back when {seen.model} is started{before}"
    return _state_beside(seen.unit, slot, last, seen)


def _state_beside(
    unit: Unit, slot: SavedSlot, last: RestoreAttempt | None, seen: ModelSight
) -> str:
    if unit.identity == slot.identity:
        return "saved from the engine that runs"
    if last and last.identity == unit.identity and last.outcome != "open":
        return _tried(last)
    if slot in taken_slots(seen):
        return f"is not put back: {IN_USE}"
    if slot in owed_slots(seen):
        return "is put back by the next apply"
    return "was not tried in what runs now"


def _waits(slot: SavedSlot, wanted: Fingerprint | None) -> bool:
    return wanted is not None and slot.fingerprint != wanted.digest


def _refused(slot: SavedSlot, wanted: Fingerprint | None) -> str:
    """Why a slot file that fits is not put in any more, empty where it may be."""
    if wanted is None or _waits(slot, wanted):
        return ""
    if not wanted.has_place(slot):
        return f"will not be used: there is no slot {slot.slot} for slot file {slot.file}"
    if not wanted.has_room(slot.tokens):
        return _too_large(wanted)
    return f"is not put back any more: {_why_given_up(slot)}" if gave_up(slot) else ""


def _too_large(wanted: Fingerprint) -> str:
    return f"is not put back: {wanted.capacity:,} tokens fit into a slot; raise `context:` for it"


def _why_given_up(slot: SavedSlot) -> str:
    failed = next((tried for tried in slot.attempts if tried.outcome == "failed"), None)
    if failed is None:
        return "engines died each time they took it"
    return _because("that failed before", failed.reason)


def _tried(attempt: RestoreAttempt) -> str:
    return _because(BECAME[attempt.outcome], attempt.reason)


def _named(slot: int, tokens: int) -> str:
    return f"slot {slot} ({tokens:,} tokens)"


def _because(sentence: str, reason: str) -> str:
    return f"{sentence}: {reason}" if reason else sentence
