"""The step `save_slots`, and which conversations are saved already."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from reconciler.model.facts import (
    Activity,
    Fingerprint,
    Saved,
    SavedSlot,
    Slot,
    Unit,
    UnitIdentity,
)
from reconciler.model.observed import ACTIVITY, FINGERPRINT, SAVED, UNIT, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.steps.restore_slots import outcomes_in
from reconciler.steps.step import PREDICTED_IDENTITY, ModelStep

TOKEN_BYTES = 16
"""What a slot file holds of each token beside the cache: number, position and sequence. Measured on
b10434 and b11549."""

REPLACED = "its weights or its program changed since it started"
UNCOUNTED = "its server does not say what its slots hold; llama.cpp does since May 2026 (b9294)"


class SaveSlots(ModelStep):
    """The saving of what an engine remembers.

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
        """Unit, slots, what is saved already and what it would depend on."""
        return tuple(self.key(kind) for kind in (UNIT, ACTIVITY, SAVED, FINGERPRINT))

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """That the files it runs are gone."""
        unit, fingerprint = self.seen(world).unit, self.seen(world).fingerprint
        if unit is None or fingerprint is None or self.fingerprint:
            return ()
        # What it holds would be taken for a state of the files that replaced those.
        return () if fingerprint.fits(unit) else (REPLACED,)

    def outcome(self, world: Observed) -> Observed:
        """The world with a saved slot for everything unsaved."""
        saved = self.seen(world).saved or Saved()
        fresh = self._expected(world)
        replaced = {_place(file) for file in fresh}
        kept = (file for file in saved.slots if _place(file) not in replaced)
        slots = tuple(sorted((*kept, *fresh), key=lambda file: file.slot))
        predicted = saved.model_copy(update={"slots": slots})
        return world.predicting(self.kind, {self.key(SAVED): predicted})

    def holds(self, world: Observed) -> bool:
        """Whether nothing is left that only the engine knows."""
        return not self.blocked_by(world) and not unsaved(world, self)

    def cannot_succeed_reason(self, world: Observed) -> str:
        """Which slots a save that has ended left out: nothing writes them any more."""
        left = [slot.id for slot in unsaved(world, self)]
        if not left:
            return ""
        return f"{slots_named(left)} {'was' if len(left) == 1 else 'were'} not saved"

    def _expected(self, world: Observed) -> tuple[SavedSlot, ...]:
        unit = self.seen(world).unit
        wanted = self.seen(world).fingerprint or Fingerprint(digest="")
        identity = unit.identity if unit else PREDICTED_IDENTITY
        fingerprint = self.fingerprint or wanted.digest
        return tuple(_file_of(slot, identity, fingerprint) for slot in unsaved(world, self))


def out_of_reach(unit: Unit, wanted: Fingerprint | None) -> str:
    """Why conversations of another definition's unit cannot be saved, empty where they can."""
    if not unit.mark.fingerprint:
        return (
            "it runs with another definition, and nothing tells what a saved conversation of it"
            " would depend on"
        )
    if wanted is not None and wanted.slots == unit.mark.slots:
        return ""
    return (
        f"it runs with another definition, which saves them in another folder ({unit.mark.slots})"
    )


def unsaved(world: Observed, step: ModelStep) -> tuple[Slot, ...]:
    """The slots whose conversation is in no file, or has moved on since."""
    unit = step.seen(world).unit
    if unit is None:
        return ()
    files = _files(world, step)
    held = (slot for slot in _slots(world, step) if slot.holds_conversation)
    return tuple(slot for slot in held if not any(_is_in(file, slot, unit) for file in files))


def file_bytes(tokens: int, kv_bytes_per_token: int) -> int:
    """How long the file of a slot is at least; some hundred bytes of header come to that."""
    return tokens * (kv_bytes_per_token + TOKEN_BYTES)


def in_files(world: Observed, step: ModelStep) -> tuple[SavedSlot, ...]:
    """The files that hold what a slot holds now: those must stay."""
    unit, slots = step.seen(world).unit, _slots(world, step)
    return tuple(
        file
        for file in _files(world, step)
        if unit and any(_is_in(file, slot, unit) for slot in slots)
    )


def used_since(before: Observed, after: Observed, step: ModelStep) -> bool:
    """Whether clients used what is still unsaved in `after`: with patience, it can be saved."""
    earlier = _slots(before, step)
    return any(slot.busy or slot not in earlier for slot in unsaved(after, step))


def slots_named(numbers: Sequence[int]) -> str:
    """One or more slots as a phrase."""
    return f"slot {numbers[0]}" if len(numbers) == 1 else f"slots {', '.join(map(str, numbers))}"


def _slots(world: Observed, step: ModelStep) -> tuple[Slot, ...]:
    return (step.seen(world).activity or Activity()).slots


def _files(world: Observed, step: ModelStep) -> tuple[SavedSlot, ...]:
    return (step.seen(world).saved or Saved()).slots


def _is_in(file: SavedSlot, slot: Slot, unit: Unit) -> bool:
    if file.slot != slot.id:
        return False
    restored = "proven" in outcomes_in(unit, file) and slot.tokens == file.tokens
    return restored or _was_saved_from(file, slot, unit)


def _was_saved_from(file: SavedSlot, slot: Slot, unit: Unit) -> bool:
    # The engine numbers its tasks: with the same one and as many tokens, the slot did not move on.
    same_state = file.task == slot.task and file.slot_tokens == slot.tokens
    return file.identity == unit.identity and same_state


def _place(file: SavedSlot) -> tuple[int, str]:
    """What a new file of the same takes the place of (ADR 0013)."""
    return file.slot, file.fingerprint


def _file_of(slot: Slot, identity: UnitIdentity, fingerprint: str) -> SavedSlot:
    tokens = slot.tokens or 0
    return SavedSlot(
        file="",
        slot=slot.id,
        tokens=tokens,
        bytes=0,
        sha256="",
        fingerprint=fingerprint,
        saved_at=0.0,
        identity=identity,
        slot_tokens=tokens,
        task=slot.task,
    )
