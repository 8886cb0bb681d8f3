"""Stop a unit through its launcher, unless a conversation grew since it was saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.effects.effect import MISSED
from reconciler.steps.save_slots import unsaved

GRACE = 3.0
"""Seconds between TERM and the second TERM: TERM cuts what is in flight and can hang, so waiting longer gains nothing."""

if TYPE_CHECKING:
    from reconciler.effects.effect import Acting
    from reconciler.model.facts import Unit
    from reconciler.ports import Evidence
    from reconciler.steps.stop import Stop


async def perform(step: Stop, acting: Acting) -> Evidence:
    """End the unit and its group. Observable."""
    unit = acting.unit(step)
    if step.keeps and ("save_slots", step.model) not in acting.gave_up and await _grew(step, acting, unit):
        return {MISSED: f"{step.model} went on talking after its conversations were saved"}
    return await acting.ports.launchers[unit.launcher].stop(unit.identity, GRACE)


async def _grew(step: Stop, acting: Acting, unit: Unit) -> bool:
    activity = await acting.ports.models[step.model].engine.activity(unit)
    return bool(unsaved(acting.world.seeing({step.key("activity"): activity}), step))
