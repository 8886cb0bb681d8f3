"""Run: plans and executes until a host is where it aims, tries what was started, and is closed."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import gate, phrases, planner, policy
from reconciler.core.attempts import attempt_key
from reconciler.core.policy import Aim
from reconciler.core.recovery import Hints
from reconciler.loop import adoption, trial
from reconciler.loop.context import HostContext
from reconciler.loop.executor import execute
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.run_end import RunEnd, refused
from reconciler.loop.run_state import RunState
from reconciler.model.facts import UnitIdentity, Unknown
from reconciler.model.observed import UNIT, Observed
from reconciler.model.records import RunClosed, RunOpened, TrialOpened, Verdict
from reconciler.model.spec import Slice
from reconciler.model.target import Target
from reconciler.steps.plan import HostPlan
from reconciler.steps.step import why_unknown

MOST_PLANS = 8
"""A world that moves under this many plans of one run is not going to hold still."""

WENT_DOWN = (
    "the host went down, and nothing wakes it by itself: what is to run there waits until it is"
    " switched on"
)
STALE = "PlanStale: this plan is not the one that was approved; look again with `reconciler plan`"


async def attempt(
    request: PassRequest, context: HostContext, aim: Aim, observed: Observed | None = None
) -> RunEnd:
    """Bring a host where it aims, in one run, or return why nothing was changed."""
    slice_, host = aim.target.slice, aim.target.slice.host.name
    hints = await context.hints(host)
    if observed is None:
        observed = await context.look(slice_, hints)
    plan = planner.plan(aim.target, observed, hints, mode=aim.mode, prune=request.prune)
    if reasons := await _refusals(request, context, plan, observed):
        return refused(*reasons)
    if aim.mode == "forward" and not _is_approved(request, plan):
        return refused(STALE)
    is_reached = policy.is_reached(slice_, observed)
    if not plan.steps and (hints.open_run is None or not is_reached):
        if is_reached:
            await adoption.adopt(request, context, aim, hints)
        serving = {} if plan.unmet or not is_reached else phrases.urls(slice_)
        return RunEnd("in_sync", serving=serving)
    if plan.steps and not plan.is_asleep:
        reasons = await _claimed(request, context, slice_)
        if reasons:
            return refused(*(f"{host}: {reason}" for reason in reasons))
    if aim.mode == "forward":
        hints = await adoption.adopt_found(request, context, observed, hints)
    state = await _open(request, context, aim, plan, hints)
    end, observed = await _carry_out(request, state, aim, plan, observed)
    if end.kind == "completed":
        end = await _try(state, aim, hints, observed)
    return await _close(state, end, aim)


async def _refusals(
    request: PassRequest, context: HostContext, plan: HostPlan, observed: Observed
) -> tuple[str, ...]:
    ours = await context.claim.ours(plan.host)
    return gate.refusals(plan, observed, ours, take_over=request.take_over)


def _is_approved(request: PassRequest, plan: HostPlan) -> bool:
    return request.approved is None or request.approved == gate.approval(plan)


async def _claimed(request: PassRequest, context: HostContext, slice_: Slice) -> tuple[str, ...]:
    """Why a host that is awake is not ours to act on, nothing once it is claimed."""
    access = context.ports(slice_).access
    obstacle = await context.claim.claim(slice_.host.name, access, take_over=request.take_over)
    return (obstacle,) if obstacle else ()


async def _open(
    request: PassRequest, context: HostContext, aim: Aim, plan: HostPlan, hints: Hints
) -> RunState:
    target = aim.target
    opened = await context.journal.append(
        RunOpened(
            host=target.slice.host.name,
            mode=aim.mode,
            slice=target.slice,
            digest=target.digest,
            key=aim.key,
            generation=adoption.generation(hints, aim),
            trigger=request.trigger,
            provenance=request.provenance,
            plan=tuple(f"{planned.step.kind} {planned.step.target}" for planned in plan.steps),
            causes=tuple(dict.fromkeys(planned.cause for planned in plan.steps)),
            notes=plan.notes,
            continues=hints.open_run.seq if hints.open_run else None,
        )
    )
    ports, observer = context.ports(target.slice), context.observer(target.slice)
    return RunState(context, target.slice, opened.seq, ports, observer)


async def _carry_out(
    request: PassRequest, state: RunState, aim: Aim, plan: HostPlan, observed: Observed
) -> tuple[RunEnd, Observed]:
    """Execute, and plan again for as long as something is left to do or a prediction missed.

    The world is returned as the last plan saw it.
    """
    target, context = aim.target, state.context
    end = RunEnd("missed")
    for _ in range(MOST_PLANS):
        end = await execute(plan.until_awake(), observed, state)
        if end.kind in {"failed", "interrupted"}:
            return end, observed
        asleep, hints = plan.is_asleep, await context.hints(target.slice.host.name)
        observed = await context.look(target.slice, hints)
        plan = planner.plan(target, observed, hints, mode=aim.mode, prune=request.prune)
        has_woken = asleep and plan.steps and not plan.is_asleep
        reasons = await _objections(request, state, plan, observed) if has_woken else plan.refusals
        if reasons:
            return RunEnd("failed", end.step, "; ".join(reasons), of_plan=True), observed
        if not state.left(plan):
            return _arrived(target.slice, observed), observed
    last = end.message or plan.headline
    moved = f"the world moved under {MOST_PLANS} plans; last: {last}"
    return RunEnd("failed", message=moved), observed


def _arrived(slice_: Slice, observed: Observed) -> RunEnd:
    if policy.is_reached(slice_, observed):
        return RunEnd("completed")
    return RunEnd("interrupted", message=WENT_DOWN)


async def _objections(
    request: PassRequest, state: RunState, plan: HostPlan, observed: Observed
) -> tuple[str, ...]:
    # A host that has just come up is judged and claimed as one that was up already.
    reasons = await _refusals(request, state.context, plan, observed)
    return reasons or await _claimed(request, state.context, state.slice)


async def _try(state: RunState, aim: Aim, hints: Hints, observed: Observed) -> RunEnd:
    """Watch what a run started or restored until it counts as good."""
    slice_, context = aim.target.slice, state.context
    # As the last plan saw them: what another look found gone, or could not see, nothing would try.
    seen = _units(slice_, observed)
    # Where an earlier run was cut short, all that runs is on trial.
    tried = seen.keys() if hints.open_run else state.unproven | state.restored | hints.unproven
    units = {name: one for name, one in seen.items() if name in tried}
    host = slice_.host.name
    await context.journal.append(TrialOpened(host=host, run=state.run, units=units))
    trial.tell(units, slice_, context.say)
    on_trial = trial.Units(host, units, state.started)
    trouble = await trial.judge(on_trial, slice_, state.observer, context.clock, context.interrupt)
    if trouble:
        return RunEnd("failed", message=trouble)
    if context.interrupt.reason:
        return RunEnd("interrupted", message=context.interrupt.reason)
    # What ran before is not on trial: where it ended meanwhile nothing is gone back on, and the
    # next pass starts it again.
    others = {name: one for name, one in seen.items() if name not in tried}
    unmet = await trial.otherwise(on_trial, state.observer) or _unseen(slice_, observed)
    unmet = unmet or await trial.ended(trial.Units(host, others, ()), state.observer)
    return RunEnd("unmet", message=unmet) if unmet else RunEnd("completed")


def _unseen(slice_: Slice, observed: Observed) -> str:
    """Which models that should run could not be seen: without them nothing is as wanted."""
    host, is_up = slice_.host.name, observed.power(slice_.host.name) == "on"
    wanted = slice_.active or () if is_up else ()
    return "; ".join(why_unknown(observed, (UNIT(host, name) for name in wanted)))


def _units(slice_: Slice, observed: Observed) -> dict[str, UnitIdentity]:
    host = slice_.host.name
    units = {name: observed.value(UNIT(host, name)) for name in slice_.active or ()}
    return {name: unit.identity for name, unit in units.items() if unit is not None}


async def _close(state: RunState, end: RunEnd, aim: Aim) -> RunEnd:
    """Record how a run ended, unless its controller leaves it open."""
    target = aim.target
    ended = replace(end, run=state.run, torn_down=state.torn_down)
    if end.kind == "interrupted" and state.context.interrupt.way == "detach":
        return ended
    failed = end.kind not in {"completed", "interrupted", "unmet"}
    ended = replace(ended, kind="failed" if failed else end.kind, message=end.whole_message)
    if failed and not ended.of_power:
        ended = replace(ended, log=await _last_words(state, ended, target))
    await state.context.journal.append(await _closed(state, ended, aim))
    if ended.kind != "completed":
        return ended
    return replace(ended, serving=phrases.urls(target.slice))


async def _closed(state: RunState, ended: RunEnd, aim: Aim) -> RunClosed:
    target, failed = aim.target, ended.kind == "failed"
    is_open = failed or ended.kind == "interrupted"
    return RunClosed(
        host=target.slice.host.name,
        run=state.run,
        verdict=_verdict(ended, state.context.interrupt),
        reason=_reason(ended),
        message=ended.message,
        key=await _key(state, target) if failed else None,
        quarantines=failed and aim.mode == "forward",
        torn_down=state.torn_down,
        log=ended.log,
        notes=state.notes,
        lost_conversations=state.lost.total(),
        unproven=tuple(sorted(state.unproven)) if is_open else (),
    )


def _verdict(ended: RunEnd, interrupt: Interrupt) -> Verdict:
    match ended.kind:
        case "completed":
            return "promoted"
        case "interrupted":
            return "interrupted" if interrupt.goes_back else "superseded"
        case _:
            return "failed"


def _reason(ended: RunEnd) -> str:
    if ended.kind == "failed":
        return phrases.failed(ended.step.kind if ended.step else "trial")
    return "Unmet" if ended.kind == "unmet" else ""


async def _key(state: RunState, target: Target) -> str:
    """What a failure quarantines: the wish, with all the files that it depends on as they are."""
    observed = await state.observer.for_planning(target.slice.active or ())
    return attempt_key(target.slice, target.digest, observed)


async def _last_words(state: RunState, end: RunEnd, target: Target) -> tuple[str, ...]:
    """The engine's last log lines of the model that failed."""
    model_name = getattr(end.step, "model", None) or next(iter(target.slice.active or ()), None)
    model = state.ports.models.get(model_name or "")
    if model is None or model_name is None:
        return ()
    fact = await model.launcher.log(model_name)
    return () if isinstance(fact, Unknown) else fact.value.lines
