"""Planner: the steps that bring a host to its target, each checked in the world it is predicted to meet."""

from __future__ import annotations

from reconciler.core.diff import Difference, diff
from reconciler.core.locked import ends_what_lives, unseen_starts
from reconciler.core.ordering import order
from reconciler.core.recipes.recipe import recipe
from reconciler.core.recovery import Hints
from reconciler.core.safety import violations
from reconciler.model.change import Ignored, PowerChange, PrepareChange, StartChange, StopChange
from reconciler.model.facts import Predicted
from reconciler.model.observed import UNIT, Observed
from reconciler.model.records import Mode
from reconciler.model.spec import Slice
from reconciler.model.target import Target
from reconciler.steps.plan import AnyStep, HostPlan, PlannedStep
from reconciler.steps.step import ModelStep


def plan(
    target: Target, observed: Observed, hints: Hints, *, mode: Mode = "forward", prune: bool = False
) -> HostPlan:
    """Return the plan of one host. Its refusals name every reason why it must not run as it is."""
    wanted = target.slice
    difference = diff(wanted, observed, hints, prune=prune)
    cooked = recipe(difference.changes, wanted, observed)
    unseen = unseen_starts(difference.changes, wanted, observed)
    # Nothing that is well is stopped for a start that nobody can look into; else that beats none
    # (ADR 0018).
    refused = unseen if mode == "forward" and ends_what_lives(difference.changes, observed) else ()
    steps, blocked = _simulate(_timed(order(cooked.drafts), hints), observed, wanted)
    return HostPlan(
        host=wanted.host.name,
        mode=mode,
        digest=target.digest,
        headline=_headline(wanted, difference, observed),
        steps=steps,
        ignored=tuple(change for change in difference.changes if isinstance(change, Ignored)),
        notes=(*cooked.notes, *(() if refused else unseen), *(difference.unmet if steps else ())),
        refusals=(*difference.unknown, *cooked.refusals, *refused, *blocked),
        unmet=difference.unmet,
        lost_conversations=cooked.lost_conversations,
        seconds=_seconds(steps, wanted),
    )


def _simulate(
    steps: tuple[PlannedStep, ...], observed: Observed, wanted: Slice
) -> tuple[tuple[PlannedStep, ...], tuple[str, ...]]:
    """Walk the plan through predicted worlds.

    Return the steps as seen there, and what blocks them.
    """
    world = observed
    seen: list[PlannedStep] = []
    blocked: list[str] = []
    for planned in steps:
        step = planned.step
        by_wake = any(
            isinstance(fact := world.fact(key), Predicted) and fact.by == "wake"
            for key in step.reads()
        )
        seen.append(planned.model_copy(update={"predicted": by_wake}))
        blocked += [f"{step.kind} {step.target}: {reason}" for reason in step.blocked_by(world)]
        world = step.predict(world)
        # A run may be cut short after any step, so the world after each one has to be safe.
        blocked += [f"{step.kind} {step.target}: {reason}" for reason in violations(world, wanted)]
    return tuple(seen), tuple(dict.fromkeys(blocked))


def _seconds(steps: tuple[PlannedStep, ...], wanted: Slice) -> float | None:
    """Return how long steps took before, with the trial of what they start.

    None when none was ever done.
    """
    known = [one.seconds for one in steps if one.seconds is not None]
    starts = any(one.step.starts for one in steps)
    return (
        sum(known) + (wanted.stable_for(wanted.active or ()) if starts else 0.0) if known else None
    )


def _headline(wanted: Slice, difference: Difference, observed: Observed) -> str:
    changes = difference.changes
    stops = [change.model for change in changes if isinstance(change, StopChange)]
    starts = [change.model for change in changes if isinstance(change, StartChange)]
    stay = [name for name in _running(wanted, observed) if name not in {*stops, *starts}]
    power = [change for change in changes if isinstance(change, PowerChange)]
    parts = [f"power {change.have} -> {change.want}" for change in power]
    if stops or starts:
        before, after = (", ".join(sorted({*stay, *some})) or "nothing" for some in (stops, starts))
        parts.append(f"{before} -> {after}")
    elif any(isinstance(change, PrepareChange) for change in changes) and not power:
        parts.append("to be prepared")
    elif any(not isinstance(change, Ignored) for change in changes) and not power:
        parts.append("to be completed")
    if not parts and difference.unknown:
        parts.append("not known")
    elif not parts and difference.unmet:
        parts.append("not as wanted")
    if any(isinstance(change, Ignored) and change.subject == "power" for change in changes):
        parts.append("power is left as it is")
    if not parts:
        parts.append(f"in sync ({_kept(wanted)})")
    return ", ".join(parts)


def _running(wanted: Slice, observed: Observed) -> list[str]:
    """Return what is wanted and runs."""
    keys = {name: UNIT(wanted.host.name, name) for name in wanted.active or ()}
    return [name for name, key in keys.items() if observed.value(key) is not None]


def _kept(wanted: Slice) -> str:
    """Return what a host that is as wanted is kept at."""
    if wanted.power in {"off", "suspend"}:
        return f"power {wanted.power}"
    return (
        "active not managed"
        if wanted.active is None
        else ", ".join(wanted.active) or "nothing active"
    )


def _timed(steps: tuple[PlannedStep, ...], hints: Hints) -> tuple[PlannedStep, ...]:
    """Return the steps with how long each took before.

    The journal knows a step about the host by no model.
    """

    def seconds(step: AnyStep) -> float | None:
        return hints.typical_seconds(step.kind, step.model if isinstance(step, ModelStep) else "")

    return tuple(planned.model_copy(update={"seconds": seconds(planned.step)}) for planned in steps)
