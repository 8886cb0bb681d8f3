"""Suspend a host through its power drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.effects.shutdown import descend

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.suspend import Suspend


async def perform(step: Suspend, context: EffectContext) -> Evidence:
    """Ask the host. Irreversible."""
    return await descend(step, context, context.ports.power.suspend)
