"""The step `restore_slots`, and which conversations are owed to an engine."""

from typing import ClassVar, Literal

from reconciler.model.facts import Activity, Fingerprint, RestoreAttempt, SavedSlot, Unit
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
from reconciler.model.sight import ModelSight
from reconciler.steps.step import ModelStep, why_unknown

MOST_OPEN_ATTEMPTS = 2
"""A restore whose outcome died with its unit this often is blamed for the death."""


class RestoreSlots(ModelStep):
    """The return of conversations to a fresh engine."""

    ensures: ClassVar[str] = (
        "slots hold the saved tokens, proven by replaying them; else cold, never garbage"
    )
    in_doubt: ClassVar[InDoubt] = "once"
    puts_back: ClassVar[bool] = True
    # Random weights are written when their engine starts.
    looks_again_at: ClassVar[frozenset[FactKind]] = frozenset({"weights", "fingerprint"})
    best_effort: ClassVar[bool] = True

    kind: Literal["restore_slots"] = "restore_slots"
    deadline: float = 120.0

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Unit, health, slots, saved slots and what they must fit."""
        return tuple(
            self.key(kind) for kind in (UNIT, HEALTH, ACTIVITY, SAVED, WEIGHTS, FINGERPRINT)
        )

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Why no engine is ready to take anything."""
        if unknown := why_unknown(world, self.reads()):
            return unknown
        health = self.seen(world).health
        ready = health is not None and (health.tells or health.phase == "sleeping")
        return () if ready else (f"{self.key(HEALTH)}: not ready",)

    def outcome(self, world: Observed) -> Observed:
        """The world with every owed slot proven."""
        seen = self.seen(world)
        unit, saved = seen.unit, seen.saved
        if unit is None or saved is None:
            return world
        owed = {slot.slot for slot in owed_slots(seen)}
        slots = tuple(_proven(slot, unit) if slot.slot in owed else slot for slot in saved.slots)
        proven = saved.model_copy(update={"slots": slots})
        return world.predicting(self.kind, {self.key(SAVED): proven})

    def holds(self, world: Observed) -> bool:
        """Whether nothing is owed any more."""
        return not self.blocked_by(world) and not owed_slots(self.seen(world))


def owed_slots(seen: ModelSight) -> tuple[SavedSlot, ...]:
    """The saved slots that fit the running unit, are undecided for it, and have a free place."""
    return tuple(slot for slot, is_free in _undecided(seen) if is_free)


def taken_slots(seen: ModelSight) -> tuple[SavedSlot, ...]:
    """The saved slots that would be owed if clients had not used their place."""
    return tuple(slot for slot, is_free in _undecided(seen) if not is_free)


def _undecided(seen: ModelSight) -> tuple[tuple[SavedSlot, bool], ...]:
    """The saved slots that the running unit may still take, each with whether its place is free."""
    unit, activity, fingerprint = seen.unit, seen.activity, seen.fingerprint
    if unit is None or activity is None or fingerprint is None or not fingerprint.fits(unit):
        return ()
    undecided = (slot for slot in fitting_slots(seen) if not is_decided(slot, unit))
    return tuple((slot, _is_free(slot, unit, activity)) for slot in undecided)


def fitting_slots(seen: ModelSight) -> tuple[SavedSlot, ...]:
    """The saved slots that the model, as it would run now, can take."""
    saved, weights, fingerprint = seen.saved, seen.weights, seen.fingerprint
    if saved is None or fingerprint is None or weights is None or not weights.keepable:
        return ()
    return tuple(slot for slot in saved.slots if _is_fit(slot, fingerprint))


def _is_fit(slot: SavedSlot, wanted: Fingerprint) -> bool:
    continues = slot.fingerprint == wanted.digest
    is_placed = wanted.has_place(slot) and wanted.has_room(slot.tokens)
    return continues and is_placed and not gave_up(slot)


def is_poisoned(seen: ModelSight) -> bool:
    """Whether a restore into the running unit failed, which may have left it damaged."""
    unit, saved = seen.unit, seen.saved
    if unit is None or saved is None:
        return False
    return any("failed" in outcomes_in(unit, slot) for slot in saved.slots)


def gave_up(slot: SavedSlot) -> bool:
    """Whether a saved slot is not put in any more: it failed, or engines kept dying over it."""
    outcomes = [tried.outcome for tried in slot.attempts]
    return "failed" in outcomes or outcomes.count("open") > MOST_OPEN_ATTEMPTS


def is_decided(slot: SavedSlot, unit: Unit) -> bool:
    """Whether a saved slot was tried in this unit to the end."""
    return bool(outcomes_in(unit, slot) - {"open"})


def outcomes_in(unit: Unit, slot: SavedSlot) -> set[str]:
    """How the attempts to put a saved slot into this very unit ended."""
    return {tried.outcome for tried in slot.attempts if tried.identity == unit.identity}


def _is_free(saved: SavedSlot, unit: Unit, activity: Activity) -> bool:
    place = next((slot for slot in activity.slots if slot.id == saved.slot), None)
    if place is None:
        return not activity.slots
    if not place.holds_conversation:
        return not place.busy and not place.uncounted
    # An attempt that was cut short may have filled the place already: just these tokens are no
    # client's.
    return "open" in outcomes_in(unit, saved) and place.tokens == saved.tokens


def _proven(slot: SavedSlot, unit: Unit) -> SavedSlot:
    attempt = RestoreAttempt(identity=unit.identity, outcome="proven")
    return slot.model_copy(update={"attempts": (*slot.attempts, attempt)})
