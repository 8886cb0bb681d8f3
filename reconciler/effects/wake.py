"""Wake a host through its power drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.wake import Wake


async def perform(step: Wake, context: EffectContext) -> Evidence:
    """Ask the host to come up, once more each time. Repeatable."""
    _ = step
    return await context.ports.power.wake(context.attempt)
