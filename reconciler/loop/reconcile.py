"""Reconcile: one pass over one host.

Decide what is to be brought about, and where to go when a run does not end well.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import observe_scope, phrases, policy
from reconciler.core.deadlines import said_time
from reconciler.core.policy import Aim
from reconciler.core.power import is_going
from reconciler.errors import DurabilityError, ReconcilerError, Unexpected
from reconciler.loop.context import HostContext
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.run import attempt
from reconciler.loop.run_end import RunEnd
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.observed import CONTACT, POWER, UNIT, Observed
from reconciler.model.records import Hold, HostGone, HostReturned, Quarantine, SentDown
from reconciler.model.spec import Slice
from reconciler.model.verdict import HostVerdict, Outcome


async def reconcile(request: PassRequest, context: HostContext) -> HostVerdict:
    """Bring one host to what is wanted, or back to last good.

    Raise DurabilityError, and nothing else.
    """
    host = request.slice.host.name
    try:
        with unforeseen(context.keep):
            return await _with_notes(request, context)
    except DurabilityError:
        raise
    except Unexpected as error:
        return HostVerdict(host=host, outcome="unknown", message=error.message)
    except ReconcilerError as error:
        return HostVerdict(host=host, outcome="refused", message=error.message)


async def _with_notes(request: PassRequest, context: HostContext) -> HostVerdict:
    verdict = await _reconciled(request, context)
    if not verdict.runs:
        return verdict
    hints = await context.hints(verdict.host)
    return verdict.model_copy(
        update={"notes": hints.notes, "lost_conversations": hints.lost_conversations}
    )


async def _reconciled(request: PassRequest, context: HostContext) -> HostVerdict:
    host = request.slice.host.name
    if request.provenance.objection:
        return HostVerdict(
            host=host,
            outcome="refused",
            message="nothing was changed",
            reasons=(request.provenance.objection,),
        )
    hints = await context.hints(host)
    if hints.open_run is not None:
        effect = hints.open_run.in_flight
        during = f" during {effect.step} {effect.model}".rstrip() if effect else ""
        context.say(
            f"{host}: run {hints.open_run.seq} was cut short{during}; looking again and going on"
            " from what is there"
        )
    observed = await context.observer(request.slice).for_planning(
        observe_scope.may_run(request.slice, hints)
    )
    await _note_power(context, hints.sent_down, observed, host)
    aim = policy.aim(
        request.slice, hints, observed, context.clock.instant(), retries=request.retries
    )
    match aim.cause:
        case Hold():
            return await _held(request, context, aim)
        case Quarantine() as failure:
            return await _healed(request, context, aim, failure)
        case None:
            return await _carried_out(request, context, aim, observed)


async def _carried_out(
    request: PassRequest, context: HostContext, aim: Aim, observed: Observed
) -> HostVerdict:
    """Bring a host to what is wanted, and back where that fails."""
    host = request.slice.host.name
    end = await attempt(request, context, aim, observed)
    match end.kind:
        case "in_sync":
            return HostVerdict(host=host, outcome="in_sync", serving=end.serving)
        case "completed" | "unmet":
            ended: Outcome = "applied" if end.kind == "completed" else "unhealthy"
            return HostVerdict(
                host=host, outcome=ended, message=end.message, runs=end.runs, serving=end.serving
            )
        case "refused":
            return HostVerdict(
                host=host, outcome="refused", message=end.message, reasons=end.reasons
            )
        case "failed" | "interrupted" if end.of_power:
            # Power is never gone back on: what a host was asked it may still do.
            power: Outcome = "stalled" if end.kind == "failed" else "interrupted"
            return HostVerdict(
                host=host, outcome=power, message=end.message, log=end.log, runs=end.runs
            )
        case _:
            return await _rolled_back(request, context, end)


async def _note_power(
    context: HostContext, sent: SentDown | None, observed: Observed, host: str
) -> None:
    """Record what became of a host that was sent down: it answers, and what was inferred of it is void; or it is down."""
    contact, power = observed.value(CONTACT(host)), observed.value(POWER(host))
    if (
        sent is not None
        and contact is not None
        and not is_going(sent, contact, context.clock.instant())
    ):
        await context.journal.append(HostReturned(host=host, boot_id=contact.boot_id))
    elif (
        sent is not None
        and sent.is_heard
        and not sent.seen
        and power is not None
        and power.state == sent.state
    ):
        await context.journal.append(HostGone(host=host, because=power.because))


async def _held(request: PassRequest, context: HostContext, aim: Aim) -> HostVerdict:
    """Leave a held host alone, or free it first where that was asked."""
    host = request.slice.host.name
    outcome: Outcome = "in_sync" if request.trigger == "hold" else "refused"
    left_alone = HostVerdict(
        host=host,
        outcome=outcome,
        held=True,
        message="the host is left as it is",
        reasons=(aim.reason,),
    )
    if not aim.acts:
        return left_alone
    end = await attempt(request, context, aim)
    match end.kind:
        case "in_sync":
            return left_alone.model_copy(update={"message": "nothing runs there"})
        case "completed":
            return HostVerdict(
                host=host,
                outcome="applied",
                message="nothing runs there",
                reasons=(aim.reason,),
                runs=end.runs,
            )
        case "refused" | "interrupted":
            return HostVerdict(
                host=host, outcome=end.kind, message=end.message, reasons=end.reasons, runs=end.runs
            )
        case _:
            return HostVerdict(
                host=host, outcome="stalled", message=end.message, log=end.log, runs=end.runs
            )


async def _healed(
    request: PassRequest, context: HostContext, aim: Aim, failure: Quarantine
) -> HostVerdict:
    """Bring a host whose wish is quarantined to last good, and keep it there until that changes, or is tried again by itself."""
    host = request.slice.host.name
    asked = request.trigger == "rollback"
    left = phrases.is_left(failure)
    mend = "write into desired.yaml what is to stay" if left else "fix the cause and apply again"
    way = f"{mend}, or `reconciler retry {host}`"
    message = aim.reason if left else "the wanted state failed before"
    why = () if left else (aim.reason,)
    again = "" if aim.retry_at is None else f"it is tried again {said_time(aim.retry_at)}; "
    refused = HostVerdict(
        host=host, outcome="refused", reasons=(*why, f"{again}{way}"), log=failure.log
    )
    if not aim.acts:
        return refused.model_copy(update={"message": message})
    end = await attempt(request, context, aim)
    if asked and (
        end.kind == "completed"
        or (end.kind == "in_sync" and end.serving == phrases.urls(aim.target.slice))
    ):
        reached: Outcome = "applied" if end.kind == "completed" else "in_sync"
        return HostVerdict(host=host, outcome=reached, runs=end.runs, serving=end.serving)
    if end.kind == "in_sync":
        goes_on = "last good keeps serving" if end.serving else "nothing serves"
        return refused.model_copy(
            update={"message": f"{message}; {goes_on}", "serving": end.serving}
        )
    outcome: Outcome = "rolled_back" if end.kind == "completed" else "stalled"
    now = {"outcome": outcome, "message": end.message, "runs": end.runs, "serving": end.serving}
    if (
        end.kind == "completed"
    ):  # Another try would stop what serves now: whether one follows is for the next look to say.
        now["reasons"] = (*why, way)
    return refused.model_copy(update=now)


async def _rolled_back(request: PassRequest, context: HostContext, failed: RunEnd) -> HostVerdict:
    """Go back to last good after a failed or interrupted run; without one, stop what failed."""
    host = request.slice.host.name
    interrupted = failed.kind == "interrupted"
    hints = await context.hints(host)
    if interrupted and not (failed.torn_down and context.interrupt.goes_back):
        return HostVerdict(
            host=host, outcome="interrupted", message=failed.message, runs=failed.runs
        )
    calm = replace(context, interrupt=Interrupt())
    untouched = (
        await _untouched(request.slice, context)
        if policy.last_good(request.slice, hints) is None
        else ()
    )
    aim = policy.back(request.slice, hints, untouched)
    context.say(
        f"{host}: {failed.message}; going back to"
        f" {', '.join(aim.target.slice.active or ()) or 'nothing running'}"
    )
    back = await attempt(request, calm, aim)
    runs = (*failed.runs, *back.runs)
    if back.kind not in {"completed", "in_sync"}:
        message = (
            f"{failed.message}; going back failed too: {'; '.join(back.reasons) or back.message}"
        )
        return HostVerdict(host=host, outcome="stalled", message=message, log=failed.log, runs=runs)
    outcome: Outcome = (
        "interrupted" if interrupted else "rolled_back" if hints.last_good else "unhealthy"
    )
    return HostVerdict(
        host=host,
        outcome=outcome,
        message=failed.message,
        log=failed.log,
        runs=runs,
        serving=back.serving,
    )


async def _untouched(slice_: Slice, context: HostContext) -> tuple[str, ...]:
    """Return the models that ran before the run that failed and run still: what is well is not stopped for what is not."""
    host, hints = slice_.host.name, await context.hints(slice_.host.name)
    names = [name for name in slice_.active or () if name not in hints.unproven]
    world = await context.observer(slice_).look([UNIT(host, name) for name in names])
    return tuple(name for name in names if world.value(UNIT(host, name)) is not None)
