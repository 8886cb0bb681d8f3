"""The step `save_slots`, and which conversations are saved already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from reconciler.model.facts import Activity, Fingerprint, Saved, SavedSlot, Slot, Unit
from reconciler.model.observed import ACTIVITY, FINGERPRINT, SAVED, UNIT, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.steps.step import PREDICTED_IDENTITY, ModelStep

TOKEN_BYTES = 16
"""What a slot file holds of each token beside the cache: number, position and sequence. Measured on
b10434 and b11549."""

REPLACED = "its weights or its program changed since it started"
UNCOUNTED = "its server does not say what its slots hold; llama.cpp does since May 2026 (b9294)"


class SaveSlots(ModelStep):
    """Save what an engine remembers.

    With `required` a failure ends the plan before anything is stopped.

    `fingerprint` is what a conversation of the unit depends on where its definition is not the
    wanted one, empty where it is.
    """

    ensures: ClassVar[str] = (
        "every slot that holds a conversation is in a file with sidecar and checksum"
    )
    in_doubt: ClassVar[InDoubt] = "repeatable"
    needs_calm: ClassVar[bool] = True
    destructive: ClassVar[bool] = True

    poll: ClassVar[tuple[float, float]] = (1.5, 1.5)

    kind: Literal["save_slots"] = "save_slots"
    deadline: float = 120.0
    required: bool = False
    fingerprint: str = ""

    @property
    def gives_up(self) -> bool:
        """Whether conversations may be lost."""
        return not self.required

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Return unit, slots, what is saved already and what it would depend on."""
        return tuple(self.key(kind) for kind in (UNIT, ACTIVITY, SAVED, FINGERPRINT))

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Return that the files it runs are gone: what it holds would be taken for a state of those that replaced them."""
        unit = world.value(self.key(UNIT))
        fingerprint = world.value(self.key(FINGERPRINT))
        replaced = unit and fingerprint and not self.fingerprint and not fingerprint.fits(unit)
        return (REPLACED,) if replaced else ()

    def outcome(self, world: Observed) -> Observed:
        """Return the world with a saved slot for everything unsaved."""
        unit = world.value(self.key(UNIT))
        saved = world.value(self.key(SAVED)) or Saved()
        wanted = world.value(self.key(FINGERPRINT)) or Fingerprint(digest="")
        fingerprint = self.fingerprint or wanted.digest
        fresh = {slot.id: _expected(slot, unit, fingerprint) for slot in unsaved(world, self)}
        kept = tuple(
            slot
            for slot in saved.slots
            if slot.slot not in fresh or slot.fingerprint != fingerprint
        )
        slots = tuple(sorted((*kept, *fresh.values()), key=lambda slot: slot.slot))
        return world.predicting(
            self.kind, {self.key(SAVED): saved.model_copy(update={"slots": slots})}
        )

    def holds(self, world: Observed) -> bool:
        """Return whether nothing is left that only the engine knows."""
        return not self.blocked_by(world) and not unsaved(world, self)

    def cannot_succeed_reason(self, world: Observed) -> str:
        """Return which slots a save that has ended left out: nobody writes them any more."""
        left = [slot.id for slot in unsaved(world, self)]
        return (
            f"{slots_named(left)} {'was' if len(left) == 1 else 'were'} not saved" if left else ""
        )


def out_of_reach(unit: Unit, wanted: Fingerprint | None) -> str:
    """Return why what a unit of another definition remembers cannot be saved, empty where its mark tells all that matters."""
    if not unit.mark.fingerprint:
        return (
            "it runs with another definition, and nothing tells what a saved conversation of it"
            " would depend on"
        )
    elsewhere = wanted is None or wanted.slots != unit.mark.slots
    return (
        f"it runs with another definition, which saves them in another folder ({unit.mark.slots})"
        if elsewhere
        else ""
    )


def unsaved(world: Observed, step: ModelStep) -> tuple[Slot, ...]:
    """Return the slots whose conversation is in no file, or has moved on since."""
    activity = world.value(step.key(ACTIVITY)) or Activity()
    saved = world.value(step.key(SAVED)) or Saved()
    unit = world.value(step.key(UNIT))
    if unit is None:
        return ()
    return tuple(
        slot
        for slot in activity.slots
        if slot.holds_conversation and not any(_is_in(file, slot, unit) for file in saved.slots)
    )


def file_bytes(tokens: int, kv_bytes_per_token: int) -> int:
    """Return how long the file of a slot is at least; some hundred bytes of header come to that."""
    return tokens * (kv_bytes_per_token + TOKEN_BYTES)


def in_files(world: Observed, step: ModelStep) -> tuple[SavedSlot, ...]:
    """Return the files that hold what a slot holds now: those must stay."""
    activity = world.value(step.key(ACTIVITY)) or Activity()
    saved = world.value(step.key(SAVED)) or Saved()
    unit = world.value(step.key(UNIT))
    return tuple(
        file
        for file in saved.slots
        if unit and any(_is_in(file, slot, unit) for slot in activity.slots)
    )


def used_since(before: Observed, after: Observed, step: ModelStep) -> bool:
    """Return whether clients used what is still unsaved in `after`: with more patience, it can be saved."""
    earlier = (before.value(step.key(ACTIVITY)) or Activity()).slots
    return any(slot.busy or slot not in earlier for slot in unsaved(after, step))


def slots_named(numbers: Sequence[int]) -> str:
    """Return one or more slots as a phrase."""
    return f"slot {numbers[0]}" if len(numbers) == 1 else f"slots {', '.join(map(str, numbers))}"


def _is_in(file: SavedSlot, slot: Slot, unit: Unit) -> bool:
    """Return whether a file holds what a slot holds."""
    if file.slot != slot.id:
        return False
    saved_from_here = (
        file.identity == unit.identity
        and file.task == slot.task
        and file.slot_tokens == slot.tokens
    )
    restored = any(
        tried.identity == unit.identity and tried.outcome == "proven" for tried in file.attempts
    )
    return saved_from_here or (restored and slot.tokens == file.tokens)


def _expected(slot: Slot, unit: Unit | None, fingerprint: str) -> SavedSlot:
    return SavedSlot(
        file="", slot=slot.id, tokens=slot.tokens or 0, bytes=0, sha256="", fingerprint=fingerprint,
        saved_at=0.0, identity=unit.identity if unit else PREDICTED_IDENTITY,
        slot_tokens=slot.tokens or 0, task=slot.task,
    )  # fmt: skip
