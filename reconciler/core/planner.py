"""Planner: the steps that bring a host to its target, each checked in its predicted world."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core import phrases
from reconciler.core.diff import Difference, diff
from reconciler.core.locked import ends_what_lives, unseen_starts
from reconciler.core.ordering import order
from reconciler.core.recipes.recipe import recipe
from reconciler.core.recovery import Hints
from reconciler.core.safety import violations
from reconciler.core.unseen import told
from reconciler.model.change import Ignored, PowerChange, PrepareChange, StopChange
from reconciler.model.facts import Predicted
from reconciler.model.observed import ACTIVITY, UNIT, Observed
from reconciler.model.records import Mode
from reconciler.model.spec import Slice
from reconciler.model.target import Target
from reconciler.steps.plan import AnyStep, HostPlan, PlannedStep
from reconciler.steps.step import ModelStep


def plan(
    target: Target, observed: Observed, hints: Hints, *, mode: Mode = "forward", prune: bool = False
) -> HostPlan:
    """The plan of one host. Its refusals name every reason why it must not run as it is."""
    wanted = target.slice
    difference = diff(wanted, observed, hints, prune=prune)
    cooked = recipe(difference.changes, wanted, observed)
    locked = unseen_starts(difference.changes, wanted, observed)
    # Nothing that is well is stopped for a start that cannot be looked into. Where nothing is, such
    # a start beats none (ADR 0018).
    refused = (
        locked
        if mode in {"forward", "lease"} and ends_what_lives(difference.changes, observed)
        else ()
    )
    used = _uses(difference, observed) if mode == "idle" else ()
    unseen = told(difference.unseen)
    steps, blocked = _simulate(_timed(order(cooked.drafts), hints), observed, wanted)
    beside = (*difference.unmet, *unseen) if steps else ()
    return HostPlan(
        host=wanted.host.name,
        mode=mode,
        digest=target.digest,
        headline=_headline(wanted, difference, observed),
        steps=steps,
        ignored=difference.ignored,
        notes=(*cooked.notes, *(() if refused else locked), *beside),
        refusals=(*told(difference.unknown), *cooked.refusals, *refused, *used, *blocked),
        unmet=difference.unmet,
        unseen=unseen,
        lost_conversations=cooked.lost_conversations,
        seconds=_seconds(steps, wanted),
    )


def _uses(difference: Difference, observed: Observed) -> tuple[str, ...]:
    """Who uses an engine that would be stopped only because no request came through the gateway."""
    units = (change for change in difference.changes if isinstance(change, StopChange))
    found = {one.model: observed.value(ACTIVITY(one.host, one.model)) for one in units}
    return tuple(
        f"{name} answers {phrases.counted(activity.in_flight, 'request')} past the gateway"
        for name, activity in sorted(found.items())
        if activity is not None and activity.in_flight
    )


def _simulate(
    steps: tuple[PlannedStep, ...], observed: Observed, wanted: Slice
) -> tuple[tuple[PlannedStep, ...], tuple[str, ...]]:
    """Walk the plan through predicted worlds: the steps as seen there, and what blocks them."""
    world = observed
    seen: list[PlannedStep] = []
    blocked: list[str] = []
    for planned in steps:
        step = planned.step
        seen.append(planned.model_copy(update={"predicted": _is_after_wake(step, world)}))
        reasons = step.blocked_by(world)
        world = step.predict(world)
        # A run may be cut short after any step, so the world after each one has to be safe.
        reasons += violations(world, wanted)
        blocked += [f"{step.kind} {step.target}: {reason}" for reason in reasons]
    return tuple(seen), tuple(dict.fromkeys(blocked))


def _is_after_wake(step: AnyStep, world: Observed) -> bool:
    """Whether a step reads what only the wake before it predicts."""
    facts = (world.fact(key) for key in step.reads())
    return any(isinstance(fact, Predicted) and fact.by == "wake" for fact in facts)


def _seconds(steps: tuple[PlannedStep, ...], wanted: Slice) -> float | None:
    """How long steps took before, with the trial of what they start; None when never done."""
    known = [one.seconds for one in steps if one.seconds is not None]
    if not known:
        return None
    starts = any(one.step.starts for one in steps)
    trial = wanted.stable_for(wanted.active or ()) if starts else 0.0
    return sum(known) + trial


def _headline(wanted: Slice, difference: Difference, observed: Observed) -> str:
    parts = [*_power(difference), *_switch(wanted, difference, observed)]
    parts = parts or _lesser(difference)
    if any(change.subject == "power" for change in difference.ignored):
        parts.append("power is left as it is")
    return ", ".join(parts) or f"in sync ({_kept(wanted)})"


def _power(difference: Difference) -> list[str]:
    changes = (change for change in difference.changes if isinstance(change, PowerChange))
    return [f"power {change.have} -> {change.want}" for change in changes]


def _switch(wanted: Slice, difference: Difference, observed: Observed) -> list[str]:
    stops, starts = difference.stops, difference.starts
    if not stops and not starts:
        return []
    stay = _running(wanted, observed) - stops - starts
    return [f"{_all_of(stay | stops)} -> {_all_of(stay | starts)}"]


def _all_of(model_names: Iterable[str]) -> str:
    return ", ".join(sorted(model_names)) or "nothing"


def _lesser(difference: Difference) -> list[str]:
    """What a plan is about that changes no power and neither starts nor stops a model."""
    kinds = {type(change) for change in difference.changes}
    if PrepareChange in kinds:
        return ["to be prepared"]
    if kinds - {Ignored}:
        return ["to be completed"]
    if difference.unknown or difference.unseen:
        return ["not known"]
    return ["not as wanted"] if difference.unmet else []


def _running(wanted: Slice, observed: Observed) -> set[str]:
    """What is wanted and runs."""
    keys = {name: UNIT(wanted.host.name, name) for name in wanted.active or ()}
    return {name for name, key in keys.items() if observed.value(key) is not None}


def _kept(wanted: Slice) -> str:
    """What a host that is as wanted is kept at."""
    if wanted.power in {"off", "suspend"}:
        return f"power {wanted.power}"
    if wanted.active is None:
        return "active not managed"
    return ", ".join(wanted.active) or "nothing active"


def _timed(steps: tuple[PlannedStep, ...], hints: Hints) -> tuple[PlannedStep, ...]:
    def seconds(step: AnyStep) -> float | None:
        # The journal knows a step about the host by no model.
        return hints.typical_seconds(step.kind, step.model if isinstance(step, ModelStep) else "")

    return tuple(planned.model_copy(update={"seconds": seconds(planned.step)}) for planned in steps)
