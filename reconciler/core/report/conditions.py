"""Conditions: is a host or model as wanted, is it on hold, is it stuck, has it strayed; and why."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap
from typing import Literal, TypeAlias

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

Truth: TypeAlias = Literal["True", "False", "Unknown"]

SERVES = {"ready", "sleeping", "busy"}
LEFT = (
    "what desired.yaml says was left by `reconciler rollback`; write there what should stay, or"
    " `reconciler retry`"
)

FAILED = f"what is wanted failed in run {{run}}, and {phrases.WAITS}"


def host_conditions(hints: Hints, plan: HostPlan) -> tuple[Condition, ...]:
    """Ready always and first, the others only while they hold."""
    found = (
        _ready(hints, plan),
        *_drifted(hints, plan),
        *_reconciling(hints),
        *_held(hints),
        *_stalled(hints),
    )
    judged = {"observed_generation": hints.judged_generation}
    return tuple(condition.model_copy(update=judged) for condition in found)


def left_by_rollback(hints: Hints) -> bool:
    """Whether the wish is left alone because a person went back from it, not because it failed."""
    return hints.quarantine is not None and phrases.is_left(hints.quarantine)


def _reconciling(hints: Hints) -> Iterator[Condition]:
    run = hints.open_run
    if run:
        message = f"run {run.seq} was opened and has not ended"
        yield _true("Reconciling", reason="RunOpen", message=message, since=run.at)


def _held(hints: Hints) -> Iterator[Condition]:
    if hints.held:
        yield _true(
            "Held", reason="Held", message=phrases.held(hints.held.hold), since=hints.held.since.at
        )


def _stalled(hints: Hints) -> Iterator[Condition]:
    failure = hints.quarantine
    # Going back by choice is no failure: Ready says RolledBack, and there is nothing to fix.
    if failure and not left_by_rollback(hints):
        yield _true(
            "Stalled", reason=failure.reason, message=failure.message, since=failure.since.at
        )


def _ready(hints: Hints, plan: HostPlan) -> Condition:
    if hints.held:
        held = _readiness("False", reason="Held", message=plan.headline)
        return held.model_copy(update={"since": hints.held.since.at})
    # In this order: what keeps the wish away as a whole says more than what a plan would still do.
    found = _quarantined(plan) or _unmet(plan) or _refused(plan) or _outstanding(hints, plan)
    return found.model_copy(update={"since": hints.judged_at})


def _quarantined(plan: HostPlan) -> Condition | None:
    """Tell what keeps the wish away now; Stalled has why it failed."""
    failure = plan.cause
    if not isinstance(failure, Quarantine):
        return None
    if phrases.is_left(failure):
        return _readiness("False", reason="RolledBack", message=LEFT)
    return _failed(plan, failure)


def _failed(plan: HostPlan, failure: Quarantine) -> Condition:
    # The plan refuses with the failure in full, which Stalled says already: once is enough.
    told = phrases.left_alone(failure, plan.host)
    others = (reason for reason in plan.refusals if reason != told)
    message = "; ".join((FAILED.format(run=failure.run), *others))
    return _readiness("False", reason="Quarantined", message=message)


def _unmet(plan: HostPlan) -> Condition | None:
    if plan.steps or not plan.unmet:
        return None
    return _readiness("False", reason="Unmet", message="; ".join(plan.refusals or plan.unmet))


def _refused(plan: HostPlan) -> Condition | None:
    if not plan.objections:
        return None
    return _readiness("Unknown", reason="Refused", message="; ".join(plan.objections))


def _outstanding(hints: Hints, plan: HostPlan) -> Condition:
    if plan.steps:
        message = "; ".join([plan.headline, *_gone(hints, plan)])
        return _readiness("False", reason="ChangesPending", message=message)
    if _drifted(hints, plan):
        return _readiness("False", reason="SwitchedOn", message=plan.headline)
    rests = (phrases.RESTS,) if plan.mode == "idle" else ()
    message = "; ".join((plan.headline, *rests, *starmap(phrases.lent, plan.lent.items())))
    return _readiness("True", reason="InSync", message=message)


def _gone(hints: Hints, plan: HostPlan) -> Iterator[str]:
    """Yield the models that are started again although no step of the plan stops them."""
    ended = _served_last(hints) - {step.model for step in _of(plan, Stop)}
    for step in _of(plan, Start):
        if step.model in ended:
            yield f"{step.model} served before, and is gone"


def _of(plan: HostPlan, kind: type[Stop | Start]) -> Iterator[Stop | Start]:
    return (planned.step for planned in plan.steps if isinstance(planned.step, kind))


def _served_last(hints: Hints) -> set[str]:
    return set((hints.last_good.active if hints.last_good else None) or ())


def _drifted(hints: Hints, plan: HostPlan) -> tuple[Condition, ...]:
    """Tell where the power of a host is not as wanted, and is left as it is."""
    left = (one for one in plan.ignored if one.subject == "power")
    return tuple(_switched_on(one.cause, hints) for one in left)


def _switched_on(cause: str, hints: Hints) -> Condition:
    return _true("Drifted", reason="SwitchedOn", message=cause, since=hints.judged_at)


def model_conditions(slice_: Slice, model: ModelSpec, observed: Observed) -> tuple[Condition, ...]:
    """Ready always and first, Drifted while the model is not what the files say."""
    unit_key, health_key = UNIT(slice_.host.name, model.name), HEALTH(slice_.host.name, model.name)
    unknown = observed.unknown(unit_key) or observed.unknown(health_key)
    if unknown:
        # Whether it has strayed is as unknown as whether it runs: Drifted would be a guess.
        return (_readiness("Unknown", reason="NotSeen", message=unknown.reason),)
    unit = observed.value(unit_key)
    strayed = _strayed(slice_, model, unit)
    if unit is None:
        return (_readiness("False", reason="NotRunning"), *strayed)
    health = observed.value(health_key) or Health(phase="absent")
    return (*_of_health(health), *strayed)


def _of_health(health: Health) -> tuple[Condition, ...]:
    if health.phase in SERVES:
        message = "; ".join(filter(None, (health.message, *health.notes)))
        return (_readiness("True", reason="Serving", message=message),)
    # What answers is alive whatever it says (ADR 0018): of an engine that refuses us, or that is
    # not understood, it is not known whether it serves.
    if health.phase == "locked":
        return (_readiness("Unknown", reason="Locked", message=health.message),)
    if health.phase == "unclear":
        return (_readiness("Unknown", reason="Unclear", message=health.message),)
    if health.phase == "other":
        return _other_model(str(health.reason))
    return (_readiness("False", reason="NotServing", message=phrases.said(health)),)


def _other_model(said: str) -> tuple[Condition, ...]:
    return (
        _readiness("False", reason="OtherModel", message=said),
        _true("Drifted", reason="OtherModel", message=said),
    )


def _strayed(slice_: Slice, model: ModelSpec, unit: Unit | None) -> Iterator[Condition]:
    if slice_.active is None:
        return
    wanted = model.name in slice_.active
    if wanted and unit is None:
        yield _true("Drifted", reason="NotRunning", message="it should be active")
    elif unit is not None and not wanted:
        yield _true("Drifted", reason="Running", message="it should not be active")
    elif unit is not None and not unit.runs(model):
        yield _true(
            "Drifted", reason="OtherDefinition", message="it was started with another definition"
        )


def _readiness(status: Truth, *, reason: str, message: str = "") -> Condition:
    return Condition(type="Ready", status=status, reason=reason, message=message)


def _true(
    kind: Literal["Drifted", "Reconciling", "Held", "Stalled"],
    *,
    reason: str,
    message: str,
    since: float | None = None,
) -> Condition:
    return Condition(type=kind, status="True", reason=reason, message=message, since=since)
