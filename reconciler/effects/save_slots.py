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


async def perform(step: SaveSlots, context: EffectContext) -> Evidence:
    """Save and seal every slot whose conversation is in no file.

    What is in one is not given up for it. Repeatable.
    """
    activity = context.world.value(ACTIVITY(step.host, step.model)) or Activity()
    left = activity.model_copy(update={"slots": unsaved(context.world, step)})
    keep = tuple(file.file for file in in_files(context.world, step))
    return await context.ports.models[step.model].engine.save(context.unit(step), left, keep)
