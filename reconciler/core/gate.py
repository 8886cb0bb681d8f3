"""Gate: whether a plan may run now, with every reason when it may not. Never changes anything."""

from __future__ import annotations

from reconciler.core.canonical import digest
from reconciler.core.ownership import Ownership
from reconciler.model.names import Digest
from reconciler.model.observed import CLAIM, Observed
from reconciler.steps.plan import HostPlan


def approval(plan: HostPlan) -> Digest:
    """What a person who approves a plan has approved: its meaning, as a digest."""
    return digest([meaning.model_dump() for meaning in plan.meaning])


def refusals(
    plan: HostPlan, observed: Observed, ours: Ownership, *, take_over: bool
) -> tuple[str, ...]:
    """Why a plan must not run.

    One with nothing to do may always run, but is not in sync where something is unmet or unseen.
    """
    if plan.steps:
        return (*plan.refusals, *_claimed(plan, observed, ours, take_over=take_over))
    # What no step can change makes no way back impossible: only a forward plan is refused for it
    # (ADR 0018).
    unmet = plan.unmet if plan.mode == "forward" else ()
    return (*plan.objections, *unmet)


def _claimed(
    plan: HostPlan, observed: Observed, ours: Ownership, *, take_over: bool
) -> tuple[str, ...]:
    if take_over:
        return ()
    key = CLAIM(plan.host)
    missing = observed.unknown(key)
    # A host that has to be woken first, or is only waited for, is looked at again before anything
    # else is done to it.
    if missing and not plan.is_asleep:
        return (f"{key}: {missing.reason}",)
    objection = ours.objection(plan.host, observed.value(key))
    return (objection,) if objection else ()
