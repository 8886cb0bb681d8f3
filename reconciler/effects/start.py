"""Start a unit through its launcher."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.start import Start


async def perform(step: Start, context: EffectContext) -> Evidence:
    """Start the unit with its mark. Observable."""
    model = context.model(step)
    mark = step.mark(context.controller, context.world)
    return await context.ports.models[step.model].launcher.start(model, mark)
