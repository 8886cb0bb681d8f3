"""Save slots through the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.facts import Activity, FactKey

if TYPE_CHECKING:
    from reconciler.effects.effect import Acting
    from reconciler.ports import Evidence
    from reconciler.steps.save_slots import SaveSlots


async def perform(step: SaveSlots, acting: Acting) -> Evidence:
    """Save and seal every slot that holds a conversation. Repeatable."""
    activity = acting.world.value(FactKey("activity", step.host, step.model), Activity) or Activity()
    return await acting.ports.models[step.model].engine.save(acting.unit(step), activity)
