"""Save slots through the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.facts import Activity
from reconciler.steps.save_slots import in_files, unsaved

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.save_slots import SaveSlots


async def perform(step: SaveSlots, context: EffectContext) -> Evidence:
    """Save and seal every slot whose conversation is in no file. Repeatable."""
    activity = step.seen(context.world).activity or Activity()
    left = activity.model_copy(update={"slots": unsaved(context.world, step)})
    engine = context.ports.models[step.model].engine
    return await engine.save(context.unit(step), left, _still_needed(step, context))


def _still_needed(step: SaveSlots, context: EffectContext) -> tuple[str, ...]:
    """The files that must not be given up for those that are written now."""
    return tuple(file.file for file in in_files(context.world, step))
