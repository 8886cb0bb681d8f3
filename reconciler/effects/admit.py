"""Let requests for a model reach its unit, through the gate of its host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import DriverError
from reconciler.ports import EngineWay

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.admit import Admit


async def perform(step: Admit, context: EffectContext) -> Evidence:
    """Open the gate for the unit that was seen to serve. Repeatable."""
    gate = context.ports.gate
    if gate is None:
        raise DriverError("no gateway runs here")
    # A port that is forwarded over ssh outlives this context, with the connection to its host.
    engine = context.ports.models[step.model].engine
    async with engine.dial(step.port) as url:
        health, weights = step.seen(context.world).health, step.seen(context.world).weights
        way = EngineWay(
            url=url,
            at_once=step.at_once,
            bearer=engine.bearer,
            context=health.context if health else 0,
            architecture=weights.architecture if weights else "",
        )
        return await gate.admit(step.model, context.unit(step).identity, way)
