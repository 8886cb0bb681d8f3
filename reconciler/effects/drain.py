"""Drain: nothing is done here, watching the engine become idle is the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.drain import Drain


async def perform(step: Drain, acting: EffectContext) -> Evidence:
    """Do nothing: what is in flight ends by itself. Repeatable."""
    _ = step, acting
    return {}
