"""Keep new requests from a model, through the gate of its host."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.hold_requests import HoldRequests


async def perform(step: HoldRequests, context: EffectContext) -> Evidence:
    """Close the gate. Repeatable."""
    gate = context.ports.gate
    return {} if gate is None else await gate.hold(step.model, "it is about to be stopped")
