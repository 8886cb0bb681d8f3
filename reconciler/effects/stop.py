"""Stop a unit through the launcher that holds it, unless a conversation grew since it was saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.effects.effect import LOST, MISSED
from reconciler.model.facts import Unknown
from reconciler.model.observed import ACTIVITY
from reconciler.steps.save_slots import unsaved

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.model.facts import Slot, Unit
    from reconciler.ports import Evidence
    from reconciler.steps.stop import Stop

GRACE = 3.0
"""Seconds between TERM and the second TERM: TERM cuts what is in flight and can hang, so waiting
longer gains nothing."""


async def perform(step: Stop, context: EffectContext) -> Evidence:
    """End the unit and its group, and tell which slots that should have been kept end with it.

    Observable.
    """
    unit = context.unit(step)
    left = await _left(step, context, unit) if step.keeps else ()
    if left and ("save_slots", step.model) not in context.gave_up:
        return {MISSED: f"{step.model} went on talking after its conversations were saved"}
    if context.ports.gate is not None:
        # An idle connection makes llama-server's end take 112 ms instead of 3 (measured, b10434).
        await context.ports.gate.hang_up(step.model)
    launcher = context.ports.launchers[unit.launcher.kind]
    evidence = await launcher.stop(unit, GRACE)
    return {**evidence, LOST: [slot.id for slot in left]} if left else evidence


async def _left(step: Stop, context: EffectContext, unit: Unit) -> tuple[Slot, ...]:
    """The slots whose conversation is in no file, as seen last where the engine does not tell."""
    activity = await context.ports.models[step.model].engine.activity(unit)
    if isinstance(activity, Unknown):
        return unsaved(context.world, step)
    return unsaved(context.world.seeing({step.key(ACTIVITY): activity}), step)
