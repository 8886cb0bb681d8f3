"""Save slots through the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.facts import Activity
from reconciler.model.observed import ACTIVITY
from reconciler.steps.save_slots import in_files, unsaved

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.save_slots import SaveSlots


async def perform(step: SaveSlots, acting: EffectContext) -> Evidence:
    """Save and seal every slot whose conversation is in no file; what is in one is not given up for it. Repeatable."""
    activity = acting.world.value(ACTIVITY(step.host, step.model)) or Activity()
    left = activity.model_copy(update={"slots": unsaved(acting.world, step)})
    keep = tuple(file.file for file in in_files(acting.world, step))
    return await acting.ports.models[step.model].engine.save(acting.unit(step), left, keep)
