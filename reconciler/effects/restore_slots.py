"""Restore slots through the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.facts import Saved
from reconciler.steps.restore_slots import owed_slots

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.restore_slots import RestoreSlots


async def perform(step: RestoreSlots, context: EffectContext) -> Evidence:
    """Put saved slots back and prove them. Once."""
    owed = Saved(slots=owed_slots(step.seen(context.world)))
    engine = context.ports.models[step.model].engine
    return await engine.restore(context.unit(step), owed)
