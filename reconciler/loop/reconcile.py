"""One pass over one host: observe, aim, plan, gate, execute, judge; and back to last good when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from reconciler.core import gate, observe_scope, phrases, planner, policy
from reconciler.core.deadlines import said_time
from reconciler.core.policy import Aim
from reconciler.core.power import is_going
from reconciler.core.recovery import Hints
from reconciler.errors import DurabilityError, ReconcilerError, Unexpected
from reconciler.loop import trial
from reconciler.loop.claim import HostClaim
from reconciler.loop.closing import Attempt, close
from reconciler.loop.executor import Ending, Executor, Interrupt
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.observer import Observer
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.controller import Controller
from reconciler.model.facts import UnitIdentity
from reconciler.model.names import Digest
from reconciler.model.observed import CONTACT, POWER, UNIT, Observed
from reconciler.model.records import Adopted, Hold, HostGone, HostReturned, Quarantine, RunOpened, SentDown, TrialOpened
from reconciler.model.spec import Slice
from reconciler.model.target import Provenance
from reconciler.model.verdict import HostVerdict, Outcome
from reconciler.ports import Clock, Keep
from reconciler.steps.plan import HostPlan

MOST_PLANS = 8
"""A world that moves under this many plans of one run is not going to hold still."""

WENT_DOWN = "the host went down, and its power is not managed: what is to run there waits until somebody switches it on"


@dataclass(frozen=True)
class PassRequest:
    """Say what a pass is to bring about, who asks, and what was approved (None: anything).

    `retries` tries a failed wish again once it has waited, where nothing that serves would be stopped for it.
    """

    slice: Slice
    provenance: Provenance
    trigger: str
    approved: Digest | None = None
    prune: bool = False
    take_over: bool = False
    retries: bool = False


@dataclass(frozen=True)
class HostContext:
    """Hold what a pass needs to act.

    `ports` gives those of the definitions that are aimed at; `say` is told what is going on, `keep` what nobody foresaw.
    """

    ports: PortsCache
    past: HintsCache
    clock: Clock
    controller: Controller
    interrupt: Interrupt
    say: Callable[[str], None]
    keep: Keep

    @property
    def claiming(self) -> HostClaim:
        """Return what claims hosts for this actor."""
        return HostClaim(self.controller, self.past, self.clock)


async def reconcile(wish: PassRequest, actor: HostContext) -> HostVerdict:
    """Bring one host to what is wanted, or back to last good; raise DurabilityError, and nothing else."""
    host = wish.slice.host.name
    try:
        with unforeseen(actor.keep):
            return await _with_notes(wish, actor)
    except DurabilityError:
        raise
    except Unexpected as error:
        return HostVerdict(host=host, outcome="unknown", message=error.message)
    except ReconcilerError as error:
        return HostVerdict(host=host, outcome="refused", message=error.message)


async def _with_notes(wish: PassRequest, actor: HostContext) -> HostVerdict:
    verdict = await _reconciled(wish, actor)
    if not verdict.runs:
        return verdict
    hints = await actor.past.hints(verdict.host)
    return verdict.model_copy(update={"notes": hints.notes, "lost_conversations": hints.lost_conversations})


async def _reconciled(wish: PassRequest, actor: HostContext) -> HostVerdict:
    host = wish.slice.host.name
    if wish.provenance.objection:
        return HostVerdict(host=host, outcome="refused", message="nothing was changed", reasons=(wish.provenance.objection,))
    hints = await actor.past.hints(host)
    if hints.open_run is not None:
        effect = hints.open_run.in_flight
        during = f" during {effect.step} {effect.model}".rstrip() if effect else ""
        actor.say(f"{host}: run {hints.open_run.seq} was cut short{during}; looking again and going on from what is there")
    observed = await _observer(actor, wish.slice).for_planning(observe_scope.may_run(wish.slice, hints))
    await _note_power(actor, hints.sent_down, observed, host)
    aim = policy.aim(wish.slice, hints, observed, actor.clock.instant(), retries=wish.retries)
    match aim.cause:
        case Hold():
            return await _held(wish, actor, aim)
        case Quarantine() as failure:
            return await _healed(wish, actor, aim, failure)
        case None:
            return await _carried_out(wish, actor, aim, observed)


async def _carried_out(wish: PassRequest, actor: HostContext, aim: Aim, observed: Observed) -> HostVerdict:
    """Bring a host to what is wanted, and back where that fails."""
    host = wish.slice.host.name
    attempt = await _attempt(wish, actor, aim, observed)
    match attempt.kind:
        case "in_sync":
            return HostVerdict(host=host, outcome="in_sync", serving=attempt.serving)
        case "done" | "unmet":
            ended: Outcome = "applied" if attempt.kind == "done" else "unhealthy"
            return HostVerdict(host=host, outcome=ended, message=attempt.message, runs=attempt.runs, serving=attempt.serving)
        case "refused":
            return HostVerdict(host=host, outcome="refused", message=attempt.message, reasons=attempt.reasons)
        case "failed" | "interrupted" if attempt.of_power:
            # Power is never gone back on: what a host was asked it may still do.
            power: Outcome = "stalled" if attempt.kind == "failed" else "interrupted"
            return HostVerdict(host=host, outcome=power, message=attempt.message, log=attempt.log, runs=attempt.runs)
        case _:
            return await _rolled_back(wish, actor, attempt)


def _observer(actor: HostContext, slice_: Slice) -> Observer:
    return Observer(actor.ports(slice_), slice_, actor.clock, partial(actor.past.sent_down, slice_.host.name))


async def _note_power(actor: HostContext, sent: SentDown | None, observed: Observed, host: str) -> None:
    """Record what became of a host that was sent down: it answers, and what was inferred of it is void; or it is down."""
    contact, power = observed.value(CONTACT(host)), observed.value(POWER(host))
    if sent is not None and contact is not None and not is_going(sent, contact, actor.clock.instant()):
        await actor.past.journal.append(HostReturned(host=host, boot_id=contact.boot_id))
    elif sent is not None and sent.is_heard and not sent.seen and power is not None and power.state == sent.state:
        await actor.past.journal.append(HostGone(host=host, because=power.because))


async def _held(wish: PassRequest, actor: HostContext, aim: Aim) -> HostVerdict:
    """Leave a held host alone, or free it first where that was asked."""
    host = wish.slice.host.name
    outcome: Outcome = "in_sync" if wish.trigger == "hold" else "refused"
    left_alone = HostVerdict(host=host, outcome=outcome, held=True, message="the host is left as it is", reasons=(aim.reason,))
    if not aim.acts:
        return left_alone
    attempt = await _attempt(wish, actor, aim)
    match attempt.kind:
        case "in_sync":
            return left_alone.model_copy(update={"message": "nothing runs there"})
        case "done":
            return HostVerdict(
                host=host, outcome="applied", message="nothing runs there", reasons=(aim.reason,), runs=attempt.runs
            )
        case "refused" | "interrupted":
            return HostVerdict(
                host=host, outcome=attempt.kind, message=attempt.message, reasons=attempt.reasons, runs=attempt.runs
            )
        case _:
            return HostVerdict(host=host, outcome="stalled", message=attempt.message, log=attempt.log, runs=attempt.runs)


async def _healed(wish: PassRequest, actor: HostContext, aim: Aim, failure: Quarantine) -> HostVerdict:
    """Bring a host whose wish is quarantined to last good, and keep it there until that changes, or is tried again by itself."""
    host = wish.slice.host.name
    asked = wish.trigger == "rollback"
    left = phrases.is_left(failure)
    mend = "write into desired.yaml what is to stay" if left else "fix the cause and apply again"
    way = f"{mend}, or `reconciler retry {host}`"
    message = aim.reason if left else "the wanted state failed before"
    why = () if left else (aim.reason,)
    again = "" if aim.retry_at is None else f"it is tried again {said_time(aim.retry_at)}; "
    refused = HostVerdict(host=host, outcome="refused", reasons=(*why, f"{again}{way}"), log=failure.log)
    if not aim.acts:
        return refused.model_copy(update={"message": message})
    attempt = await _attempt(wish, actor, aim)
    if asked and (attempt.kind == "done" or (attempt.kind == "in_sync" and attempt.serving == phrases.urls(aim.target.slice))):
        reached: Outcome = "applied" if attempt.kind == "done" else "in_sync"
        return HostVerdict(host=host, outcome=reached, runs=attempt.runs, serving=attempt.serving)
    if attempt.kind == "in_sync":
        goes_on = "last good keeps serving" if attempt.serving else "nothing serves"
        return refused.model_copy(update={"message": f"{message}; {goes_on}", "serving": attempt.serving})
    outcome: Outcome = "rolled_back" if attempt.kind == "done" else "stalled"
    now = {"outcome": outcome, "message": attempt.message, "runs": attempt.runs, "serving": attempt.serving}
    if attempt.kind == "done":  # Another try would stop what serves now: whether one follows is for the next look to say.
        now["reasons"] = (*why, way)
    return refused.model_copy(update=now)


async def _rolled_back(wish: PassRequest, actor: HostContext, failed: Attempt) -> HostVerdict:
    """Go back to last good after a failed or interrupted run; without one, stop what failed."""
    host = wish.slice.host.name
    interrupted = failed.kind == "interrupted"
    hints = await actor.past.hints(host)
    if interrupted and not (failed.torn_down and actor.interrupt.goes_back):
        return HostVerdict(host=host, outcome="interrupted", message=failed.message, runs=failed.runs)
    calm = HostContext(actor.ports, actor.past, actor.clock, actor.controller, Interrupt(), actor.say, actor.keep)
    untouched = await _untouched(wish.slice, actor) if policy.last_good(wish.slice, hints) is None else ()
    aim = policy.back(wish.slice, hints, untouched)
    actor.say(f"{host}: {failed.message}; going back to {', '.join(aim.target.slice.active or ()) or 'nothing running'}")
    back = await _attempt(wish, calm, aim)
    runs = (*failed.runs, *back.runs)
    if back.kind not in {"done", "in_sync"}:
        message = f"{failed.message}; going back failed too: {'; '.join(back.reasons) or back.message}"
        return HostVerdict(host=host, outcome="stalled", message=message, log=failed.log, runs=runs)
    outcome: Outcome = "interrupted" if interrupted else "rolled_back" if hints.last_good else "unhealthy"
    return HostVerdict(host=host, outcome=outcome, message=failed.message, log=failed.log, runs=runs, serving=back.serving)


async def _untouched(slice_: Slice, actor: HostContext) -> tuple[str, ...]:
    """Return the models that ran before the run that failed and run still: what is well is not stopped for what is not."""
    host, hints = slice_.host.name, await actor.past.hints(slice_.host.name)
    names = [name for name in slice_.active or () if name not in hints.unproven]
    world = await _observer(actor, slice_).look([UNIT(host, name) for name in names])
    return tuple(name for name in names if world.value(UNIT(host, name)) is not None)


async def _attempt(wish: PassRequest, actor: HostContext, aim: Aim, observed: Observed | None = None) -> Attempt:
    """Plan and execute until the host is where it is to go, for at most so many plans; judge the trial."""
    target = aim.target
    host = target.slice.host.name
    hints = await actor.past.hints(host)
    observed = observed or await _observer(actor, target.slice).for_planning(observe_scope.may_run(target.slice, hints))
    plan = planner.plan(target, observed, hints, mode=aim.mode, prune=wish.prune)
    reasons = gate.refusals(plan, observed, await actor.claiming.ours(plan.host), take_over=wish.take_over)
    if reasons:
        return Attempt("refused", message="nothing was changed", reasons=reasons)
    if aim.mode == "forward" and wish.approved is not None and gate.approval(plan) != wish.approved:
        reason = "PlanStale: this plan is not the one that was approved; look again with `reconciler plan`"
        return Attempt("refused", message="nothing was changed", reasons=(reason,))
    is_reached = policy.is_reached(target.slice, observed)
    if not plan.steps and (hints.open_run is None or not is_reached):
        if is_reached:
            await _adopt(wish, actor, aim, hints)
        return Attempt("in_sync", serving={} if plan.unmet or not is_reached else phrases.urls(target.slice))
    if plan.steps and not plan.is_asleep:
        obstacle = await actor.claiming.claim(host, actor.ports(target.slice).access, take_over=wish.take_over)
        if obstacle:
            return Attempt("refused", message="nothing was changed", reasons=(f"{host}: {obstacle}",))
    executor = await _open(wish, actor, aim, plan, hints)
    ending = await _execute(wish, actor, executor, aim, plan, observed)
    if ending.kind == "completed":
        ending = await _trial(executor, aim, hints)
    return await close(executor, ending, aim)


async def _open(wish: PassRequest, actor: HostContext, aim: Aim, plan: HostPlan, hints: Hints) -> Executor:
    target = aim.target
    host = target.slice.host.name
    opened = await actor.past.journal.append(
        RunOpened(
            host=host,
            mode=aim.mode,
            slice=target.slice,
            digest=target.digest,
            key=aim.key,
            generation=_generation(hints, aim),
            trigger=wish.trigger,
            provenance=wish.provenance,
            plan=tuple(f"{planned.step.kind} {planned.step.target}" for planned in plan.steps),
            notes=plan.notes,
            continues=hints.open_run.seq if hints.open_run else None,
        )
    )
    ports, observer, controller = actor.ports(target.slice), _observer(actor, target.slice), actor.controller.id
    return Executor(
        ports, observer, actor.past.journal, actor.clock, controller, target.slice, opened.seq, actor.interrupt, actor.say
    )


async def _execute(
    wish: PassRequest, actor: HostContext, executor: Executor, aim: Aim, plan: HostPlan, observed: Observed
) -> Ending:
    """Execute, and plan again for as long as something is left to do or a prediction missed."""
    target = aim.target
    ending = Ending("missed")
    for _ in range(MOST_PLANS):
        ending = await executor.execute(plan.until_awake(), observed)
        if ending.kind in {"failed", "interrupted"}:
            return ending
        asleep, hints = plan.is_asleep, await actor.past.hints(target.slice.host.name)
        observed = await executor.observer.for_planning(observe_scope.may_run(target.slice, hints))
        plan = planner.plan(target, observed, hints, mode=aim.mode, prune=wish.prune)
        refused = plan.refusals
        if asleep and plan.steps and not plan.is_asleep:
            refused = await _not_ours(wish, actor, plan, observed)
        if refused:
            return Ending("failed", ending.step, "; ".join(refused), of_plan=True)
        if not executor.left(plan):
            return Ending("completed") if policy.is_reached(target.slice, observed) else Ending("interrupted", None, WENT_DOWN)
    return Ending("failed", None, f"the world moved under {MOST_PLANS} plans; last: {ending.message or plan.headline}")


async def _not_ours(wish: PassRequest, actor: HostContext, plan: HostPlan, observed: Observed) -> tuple[str, ...]:
    """Return why a host that has just come up may not be acted on, nothing once it is claimed."""
    reasons = gate.refusals(plan, observed, await actor.claiming.ours(plan.host), take_over=wish.take_over)
    if reasons:
        return reasons
    obstacle = await actor.claiming.claim(plan.host, actor.ports(wish.slice).access, take_over=wish.take_over)
    return (obstacle,) if obstacle else ()


async def _trial(executor: Executor, aim: Aim, hints: Hints) -> Ending:
    target = aim.target
    host = target.slice.host.name
    names = target.slice.active or ()
    world = await executor.observer.look([UNIT(host, name) for name in names])
    units: dict[str, UnitIdentity] = {}
    for name in names:
        unit = world.value(UNIT(host, name))
        if unit is not None and (executor.number or hints.open_run):
            units[name] = unit.identity
    await executor.journal.append(TrialOpened(host=host, run=executor.run, units=units))
    trial.tell(units, target.slice, executor.say)
    on_trial = trial.Units(host, units, executor.started)
    trouble = await trial.judge(on_trial, target.slice, executor.observer, executor.clock, executor.interrupt)
    if trouble:
        return Ending("failed", None, trouble)
    if executor.interrupt.reason:
        return Ending("interrupted", None, executor.interrupt.reason)
    unmet = await trial.otherwise(on_trial, executor.observer) if aim.mode == "forward" else ""
    return Ending("unmet", None, unmet) if unmet else Ending("completed")


async def _adopt(wish: PassRequest, actor: HostContext, aim: Aim, hints: Hints) -> None:
    """Record that a host is as wanted without a run, when the journal does not know that yet."""
    target = aim.target
    if aim.mode != "forward" or (hints.last_good_digest == target.digest and hints.wanted_digest == target.digest):
        return
    adopted = Adopted(
        host=target.slice.host.name,
        slice=target.slice,
        digest=target.digest,
        generation=_generation(hints, aim),
        provenance=wish.provenance,
    )
    await actor.past.journal.append(adopted)


def _generation(hints: Hints, aim: Aim) -> int:
    moved = aim.mode == "forward" and hints.wanted_digest != aim.target.digest
    return hints.generation + 1 if moved else hints.generation
