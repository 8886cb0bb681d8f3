"""Await healthy: nothing is done here, asking the engine is the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.await_healthy import AwaitHealthy


async def perform(step: AwaitHealthy, acting: EffectContext) -> Evidence:
    """Do nothing: the engine loads by itself, and observing it asks for one answer. Observable."""
    _ = step, acting
    return {}
