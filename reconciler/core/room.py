"""Room: whether what an engine remembers will fit into its folder, as far as known before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from reconciler.core.phrases import obstacle, size
from reconciler.model.facts import Saved, Slot
from reconciler.model.observed import Observed
from reconciler.steps.save_slots import SaveSlots, file_bytes, in_files, unsaved


class Shortage(NamedTuple):
    """How many conversations have no place to be saved in, and why not."""

    conversations: int
    because: str


NO_SHORTAGE = Shortage(0, "")


def shortage(save: SaveSlots, observed: Observed) -> Shortage:
    """What a save would have to leave out."""
    saved = save.seen(observed).saved
    held = unsaved(observed, save)
    if saved is not None and saved.obstacle and held:
        return Shortage(len(held), obstacle(saved.obstacle, saved.nearest))
    if saved is None or saved.free_bytes is None:
        return NO_SHORTAGE
    # A save deletes files that hold nothing current, so only what must stay takes room.
    kept = sum(file.bytes for file in in_files(observed, save))
    disk = saved.free_bytes + saved.held_bytes - kept
    room = _within_budget(disk, saved, kept)
    needs = _needs(save, held, observed)
    count = _left_out(needs, room)
    if not count:
        return NO_SHORTAGE
    return Shortage(count, _because(sum(needs), room, saved, is_budget=room < disk))


def _within_budget(disk: int, saved: Saved, kept: int) -> int:
    return disk if saved.budget_bytes is None else min(disk, saved.budget_bytes - kept)


def _needs(save: SaveSlots, held: Iterable[Slot], observed: Observed) -> list[int]:
    weights = save.seen(observed).weights
    per_token = weights.kv_bytes_per_token if weights else 0
    return [file_bytes(slot.tokens or 0, per_token) for slot in held]


def _left_out(needs: Iterable[int], room: int) -> int:
    # Slot by slot, as the save does it: a large one that does not fit leaves its room to the next.
    count = 0
    for need in needs:
        fits = need <= room
        room -= need * fits
        count += not fits
    return count


def _because(needed: int, room: int, saved: Saved, *, is_budget: bool) -> str:
    remedy = (
        f"raise `slots_budget`, which is {size(saved.budget_bytes or 0)}"
        if is_budget
        else "make space there"
    )
    free = size(max(0, room))
    return (
        f"to save what it holds takes {size(needed)} in {saved.folder}, and {free} can be made"
        f" free; {remedy}"
    )
