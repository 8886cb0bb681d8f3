"""Conditions: is a host or model as wanted, is somebody at it, is it stuck, has it strayed.

Each with a reason.
"""

from __future__ import annotations

from reconciler.core import phrases
from reconciler.core.recovery import Hints
from reconciler.model.facts import Health, Unit
from reconciler.model.observed import HEALTH, UNIT, Observed
from reconciler.model.records import Quarantine
from reconciler.model.spec import ModelSpec, Slice
from reconciler.model.status import Condition
from reconciler.steps.plan import HostPlan
from reconciler.steps.start import Start
from reconciler.steps.stop import Stop

SERVES = {"ready", "sleeping"}
LEFT = (
    "what desired.yaml says was left by `reconciler rollback`; write there what is to stay, or"
    " `reconciler retry`"
)

FAILED = (
    "what is wanted failed in run {run}, and is left alone until it changes, or `reconciler retry`"
)


def host_conditions(hints: Hints, plan: HostPlan) -> tuple[Condition, ...]:
    """Return the conditions of a host: Ready always, the others when they are so."""
    found = [_ready(hints, plan), *_drifted(hints, plan)]
    run, failure, held = hints.open_run, hints.quarantine, hints.held
    if run:
        message = f"run {run.seq} was opened and has not ended"
        found.append(
            Condition(
                type="Reconciling", status="True", reason="RunOpen", message=message, since=run.at
            )
        )
    if held:
        found.append(
            Condition(
                type="Held",
                status="True",
                reason="Held",
                message=phrases.held(held.hold),
                since=held.since.at,
            )
        )
    if failure and not left_by_rollback(hints):
        found.append(
            Condition(
                type="Stalled",
                status="True",
                reason=failure.reason,
                message=failure.message,
                since=failure.since.at,
            )
        )
    return tuple(
        condition.model_copy(update={"observed_generation": hints.judged_generation})
        for condition in found
    )


def left_by_rollback(hints: Hints) -> bool:
    """Return whether a wish was not left because it failed: a person went back from it."""
    return hints.quarantine is not None and phrases.is_left(hints.quarantine)


def _quarantined(hints: Hints, plan: HostPlan) -> Condition | None:
    """Return that what failed, or was left, keeps the wish away now.

    Why it failed is said by Stalled.
    """
    failure = plan.cause
    if not isinstance(failure, Quarantine):
        return None
    if phrases.is_left(failure):
        return Condition(
            type="Ready", status="False", reason="RolledBack", message=LEFT, since=hints.judged_at
        )
    others = (reason for reason in plan.refusals if reason != phrases.quarantined(failure))
    message = "; ".join((FAILED.format(run=failure.run), *others))
    return Condition(
        type="Ready", status="False", reason="Quarantined", message=message, since=hints.judged_at
    )


def _ready(hints: Hints, plan: HostPlan) -> Condition:
    since = hints.judged_at
    if hints.held:
        return Condition(
            type="Ready",
            status="False",
            reason="Held",
            message=plan.headline,
            since=hints.held.since.at,
        )
    quarantined = _quarantined(hints, plan)
    if quarantined:
        return quarantined
    if plan.unmet and not plan.steps:
        message = "; ".join(plan.refusals or plan.unmet)
        return Condition(type="Ready", status="False", reason="Unmet", message=message, since=since)
    if plan.refusals:
        return Condition(
            type="Ready",
            status="Unknown",
            reason="Refused",
            message="; ".join(plan.refusals),
            since=since,
        )
    if plan.steps:
        message = "; ".join(
            [plan.headline, *(f"{name} served before, and is gone" for name in _gone(hints, plan))]
        )
        return Condition(
            type="Ready", status="False", reason="ChangesPending", message=message, since=since
        )
    if _drifted(hints, plan):
        return Condition(
            type="Ready", status="False", reason="SwitchedOn", message=plan.headline, since=since
        )
    return Condition(
        type="Ready", status="True", reason="InSync", message=plan.headline, since=since
    )


def _gone(hints: Hints, plan: HostPlan) -> list[str]:
    """Return the models that are to be started though they were part of what last served, and nobody here stops them."""
    served = (hints.last_good.active if hints.last_good else None) or ()
    steps = [planned.step for planned in plan.steps]
    stopped = {step.model for step in steps if isinstance(step, Stop)}
    return [
        step.model
        for step in steps
        if isinstance(step, Start) and step.model in {*served} - stopped
    ]


def _drifted(hints: Hints, plan: HostPlan) -> tuple[Condition, ...]:
    """Return that the power of a host is not as wanted, and is left as it is."""
    causes = (one.cause for one in plan.ignored if one.subject == "power")
    return tuple(
        Condition(
            type="Drifted", status="True", reason="SwitchedOn", message=cause, since=hints.judged_at
        )
        for cause in causes
    )


def model_conditions(slice_: Slice, model: ModelSpec, observed: Observed) -> tuple[Condition, ...]:
    """Return the conditions of a model: Ready always, Drifted when it is not what the file says."""
    unit_key, health_key = UNIT(slice_.host.name, model.name), HEALTH(slice_.host.name, model.name)
    unknown = observed.unknown(unit_key) or observed.unknown(health_key)
    if unknown:
        return (
            Condition(type="Ready", status="Unknown", reason="NotSeen", message=unknown.reason),
        )
    unit = observed.value(unit_key)
    health = observed.value(health_key) or Health(phase="absent")
    drift = _drift(slice_, model, unit)
    if unit is None:
        return (Condition(type="Ready", status="False", reason="NotRunning"), *drift)
    if health.phase in SERVES:
        message = "; ".join(filter(None, (health.message, *health.notes)))
        return (Condition(type="Ready", status="True", reason="Serving", message=message), *drift)
    if health.phase == "locked":
        return (
            Condition(type="Ready", status="Unknown", reason="Locked", message=health.message),
            *drift,
        )
    if health.phase == "unclear":
        return (
            Condition(type="Ready", status="Unknown", reason="Unclear", message=health.message),
            *drift,
        )
    if health.phase == "other":
        strayed = Condition(
            type="Drifted", status="True", reason="OtherModel", message=str(health.reason)
        )
        return (
            Condition(
                type="Ready", status="False", reason="OtherModel", message=str(health.reason)
            ),
            strayed,
            *drift,
        )
    return (
        Condition(type="Ready", status="False", reason="NotServing", message=phrases.said(health)),
        *drift,
    )


def _drift(slice_: Slice, model: ModelSpec, unit: Unit | None) -> tuple[Condition, ...]:
    if slice_.active is None:
        return ()
    wanted = model.name in slice_.active
    if wanted and unit is None:
        return (
            Condition(
                type="Drifted", status="True", reason="NotRunning", message="it should be active"
            ),
        )
    if unit is not None and not wanted:
        return (
            Condition(
                type="Drifted", status="True", reason="Running", message="it is not to be active"
            ),
        )
    if unit is not None and not unit.runs(model):
        message = "it was started with another definition"
        return (
            Condition(type="Drifted", status="True", reason="OtherDefinition", message=message),
        )
    return ()
