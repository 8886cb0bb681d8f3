"""The step `restore_slots`, and which conversations are owed to an engine."""

from __future__ import annotations

from typing import ClassVar, Literal

from reconciler.model.facts import Activity, RestoreAttempt, Saved, SavedSlot, Unit
from reconciler.model.observed import (
    ACTIVITY,
    FINGERPRINT,
    HEALTH,
    SAVED,
    UNIT,
    WEIGHTS,
    AnyFactKey,
    FactKind,
    Observed,
)
from reconciler.model.onhost import InDoubt
from reconciler.steps.step import ModelStep

MOST_OPEN_ATTEMPTS = 2
"""A restore whose outcome died with its unit this often is blamed for the death."""


class RestoreSlots(ModelStep):
    """Put conversations back into a fresh engine."""

    ensures: ClassVar[str] = (
        "slots hold the saved tokens, proven by replaying them; else cold, never garbage"
    )
    in_doubt: ClassVar[InDoubt] = "once"
    puts_back: ClassVar[bool] = True
    # Random weights are written when their engine starts.
    looks_anew_at: ClassVar[frozenset[FactKind]] = frozenset({"weights", "fingerprint"})
    best_effort: ClassVar[bool] = True

    kind: Literal["restore_slots"] = "restore_slots"
    deadline: float = 120.0

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Return unit, health, slots, saved slots and what they must fit."""
        return tuple(
            self.key(kind) for kind in (UNIT, HEALTH, ACTIVITY, SAVED, WEIGHTS, FINGERPRINT)
        )

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Return that no engine is ready to take anything."""
        health = world.value(self.key(HEALTH))
        ready = health is not None and (health.tells or health.phase == "sleeping")
        unknown = [key for key in self.reads() if world.unknown(key)]
        if unknown:
            return tuple(f"{key}: {fact.reason}" for key in unknown if (fact := world.unknown(key)))
        return () if ready else (f"{self.key(HEALTH)}: not ready",)

    def outcome(self, world: Observed) -> Observed:
        """Return the world with every owed slot proven."""
        unit = world.value(self.key(UNIT))
        saved = world.value(self.key(SAVED))
        if unit is None or saved is None:
            return world
        owed = {slot.slot for slot in owed_slots(world, self.host, self.model)}
        proven = RestoreAttempt(identity=unit.identity, outcome="proven")
        slots = tuple(
            (
                slot.model_copy(update={"attempts": (*slot.attempts, proven)})
                if slot.slot in owed
                else slot
            )
            for slot in saved.slots
        )
        return world.predicting(
            self.kind, {self.key(SAVED): saved.model_copy(update={"slots": slots})}
        )

    def holds(self, world: Observed) -> bool:
        """Return whether nothing is owed any more."""
        return not self.blocked_by(world) and not owed_slots(world, self.host, self.model)


def owed_slots(world: Observed, host: str, model_name: str) -> tuple[SavedSlot, ...]:
    """Return the saved slots that fit the running unit, were not decided for it, and whose place no client has used."""
    return tuple(slot for slot, is_free in _undecided(world, host, model_name) if is_free)


def taken_slots(world: Observed, host: str, model_name: str) -> tuple[SavedSlot, ...]:
    """Return the saved slots that would be owed if clients had not used their place."""
    return tuple(slot for slot, is_free in _undecided(world, host, model_name) if not is_free)


def _undecided(world: Observed, host: str, model_name: str) -> tuple[tuple[SavedSlot, bool], ...]:
    """Return the saved slots that fit the running unit and were not decided for it, each with whether its place is free."""
    unit = world.value(UNIT(host, model_name))
    activity = world.value(ACTIVITY(host, model_name))
    fingerprint = world.value(FINGERPRINT(host, model_name))
    if unit is None or activity is None or fingerprint is None or not fingerprint.fits(unit):
        return ()
    fitting = (
        slot for slot in fitting_slots(world, host, model_name) if not is_decided(slot, unit)
    )
    return tuple((slot, _is_free(slot, unit, activity)) for slot in fitting)


def fitting_slots(world: Observed, host: str, model_name: str) -> tuple[SavedSlot, ...]:
    """Return the saved slots that the model, as it would run now, can take."""
    saved = world.value(SAVED(host, model_name))
    weights = world.value(WEIGHTS(host, model_name))
    fingerprint = world.value(FINGERPRINT(host, model_name))
    if saved is None or fingerprint is None or weights is None or not weights.keepable:
        return ()
    fitting = (
        slot
        for slot in saved.slots
        if slot.fingerprint == fingerprint.digest and fingerprint.has_place(slot)
    )
    return tuple(slot for slot in fitting if not gave_up(slot))


def is_poisoned(world: Observed, host: str, model_name: str) -> bool:
    """Return whether a restore into the running unit failed, which may have left it damaged."""
    unit = world.value(UNIT(host, model_name))
    saved = world.value(SAVED(host, model_name)) or Saved()
    return unit is not None and any(
        tried.identity == unit.identity and tried.outcome == "failed"
        for slot in saved.slots
        for tried in slot.attempts
    )


def gave_up(slot: SavedSlot) -> bool:
    """Return whether a saved slot is not put in any more: it failed, or engines died over it again and again."""
    failed = any(tried.outcome == "failed" for tried in slot.attempts)
    return failed or sum(tried.outcome == "open" for tried in slot.attempts) > MOST_OPEN_ATTEMPTS


def is_decided(slot: SavedSlot, unit: Unit) -> bool:
    """Return whether a saved slot was tried in this unit to the end."""
    return any(
        tried.identity == unit.identity and tried.outcome != "open" for tried in slot.attempts
    )


def _is_free(saved: SavedSlot, unit: Unit, activity: Activity) -> bool:
    place = next((slot for slot in activity.slots if slot.id == saved.slot), None)
    if place is None:
        return not activity.slots
    if not place.holds_conversation:
        return not place.busy and not place.uncounted
    tried = any(
        attempt.identity == unit.identity and attempt.outcome == "open"
        for attempt in saved.attempts
    )
    return tried and place.tokens == saved.tokens
