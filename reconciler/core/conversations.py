"""Conversations: what became of those that are saved, and of those that were lost, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.core.deadlines import said_at
from reconciler.model.facts import Fingerprint, RestoreAttempt, Saved, SavedSlot
from reconciler.model.observed import FINGERPRINT, SAVED, UNIT, Observed
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
    """Return that conversations of a model were lost which the plan meant to keep."""
    lost_ones = "1 conversation was" if count == 1 else f"{count} conversations were"
    return f"{model_name}: {lost_ones} lost that the plan meant to keep"


def became(model_name: str, slot: Mapping[str, Any]) -> str:
    """Return what the evidence of a restore says of one slot, empty where all is well."""
    if slot["outcome"] == "proven":
        return ""
    return (
        f"{model_name}: {_named(slot['slot'], slot['tokens'])}"
        f" {_because(BECAME[slot['outcome']], slot.get('reason', ''))}"
    )


def left_out(world: Observed, host: str, model_name: str) -> list[dict[str, Any]]:
    """Return, as a restore does, the saved slots that it did not try because clients were there before it."""
    taken = taken_slots(world, host, model_name)
    return [
        {"slot": one.slot, "tokens": one.tokens, "outcome": "cold", "reason": IN_USE}
        for one in taken
    ]


def unfit(world: Observed, host: str, model_name: str) -> tuple[str, ...]:
    """Return what of a model's folder will not be put back when it is started, and why."""
    saved = world.value(SAVED(host, model_name)) or Saved()
    wanted = world.value(FINGERPRINT(host, model_name))
    waiting = [slot for slot in saved.slots if wanted and slot.fingerprint != wanted.digest]
    refused = (
        f"{_named(slot.slot, slot.tokens)} {why}"
        for slot in saved.slots
        if (why := _refused(slot, wanted))
    )
    notes = [f"{model_name}: {sentence}" for sentence in (*saved.problems, *refused)]
    if waiting:
        which = (
            "1 saved conversation was"
            if len(waiting) == 1
            else f"{len(waiting)} saved conversations were"
        )
        notes.append(
            f"{model_name}: {which} made with other weights, program or flags, and only those can"
            " continue it"
        )
    return tuple(notes)


def saved_ones(world: Observed, host: str, model_name: str) -> Iterator[str]:
    """Yield each saved conversation of a model: how long it is, since when, and what became of it.

    Then what is damaged.
    """
    saved = world.value(SAVED(host, model_name)) or Saved()
    for slot in saved.slots:
        yield (
            f"{_named(slot.slot, slot.tokens)}, saved {said_at(slot.saved_at)}:"
            f" {_state(slot, world, host, model_name)}"
        )
    yield from saved.problems


def _state(slot: SavedSlot, world: Observed, host: str, model_name: str) -> str:
    wanted = world.value(FINGERPRINT(host, model_name))
    unit = world.value(UNIT(host, model_name))
    if wanted and slot.fingerprint != wanted.digest:
        return WAITS
    if why := _refused(slot, wanted):
        return why
    last = slot.attempts[-1] if slot.attempts else None
    if unit is None:
        return (
            f"comes back when {model_name} is"
            f" started{f'; last time it {_tried(last)}' if last else ''}"
        )
    if unit.identity == slot.identity:
        return "saved from the engine that runs"
    if last and last.identity == unit.identity and last.outcome != "open":
        return _tried(last)
    if slot in taken_slots(world, host, model_name):
        return f"is not put back: {IN_USE}"
    return (
        "is put back by the next apply"
        if slot in owed_slots(world, host, model_name)
        else "was not tried in what runs now"
    )


def _refused(slot: SavedSlot, wanted: Fingerprint | None) -> str:
    """Return why a slot file that fits is not put in any more, empty where it may be."""
    if wanted is None or slot.fingerprint != wanted.digest:
        return ""
    if not wanted.has_place(slot):
        return f"will not be used: there is no slot {slot.slot} for slot file {slot.file}"
    if not gave_up(slot):
        return ""
    failed = next((tried for tried in slot.attempts if tried.outcome == "failed"), None)
    why = (
        _because("that failed before", failed.reason)
        if failed
        else "engines died each time they took it"
    )
    return f"is not put back any more: {why}"


def _tried(attempt: RestoreAttempt) -> str:
    return _because(BECAME[attempt.outcome], attempt.reason)


def _named(slot: int, tokens: int) -> str:
    return f"slot {slot} ({tokens:,} tokens)"


def _because(sentence: str, reason: str) -> str:
    return f"{sentence}: {reason}" if reason else sentence
