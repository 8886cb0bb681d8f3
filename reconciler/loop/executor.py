"""Executor: carries out one plan of a run, up to the first step that does not work out."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.loop.run_end import RunEnd
from reconciler.loop.run_state import RunState
from reconciler.loop.step_run import StepRun
from reconciler.model.observed import Observed
from reconciler.steps.plan import HostPlan, PlannedStep


async def execute(plan: HostPlan, world: Observed, state: RunState) -> RunEnd:
    """Carry out all steps in order; a model that clients came back to is drained again."""
    steps = state.left(plan)
    state.promise(steps)
    number = 0
    while number < len(steps):
        planned = steps[number]
        if state.context.interrupt.reason:
            return RunEnd("interrupted", planned.step, state.context.interrupt.reason)
        end, world = await StepRun(planned, state).carry_out(world)
        if end is None:
            number += 1
        elif end.kind == "busy":
            number = _drain_of(planned.step.target, steps)
        else:
            return end
    return RunEnd("completed")


def _drain_of(model_name: str, steps: Sequence[PlannedStep]) -> int:
    return next(
        place
        for place, one in enumerate(steps)
        if one.step.waits_for_clients and one.step.target == model_name
    )
