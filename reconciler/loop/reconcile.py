"""Reconcile: one pass over one host, and where it goes when its run does not end well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler.core import idleness, lending, phrases, policy
from reconciler.core.canonical import digest
from reconciler.core.deadlines import said_time
from reconciler.core.policy import Aim
from reconciler.core.power import SILENCE_SECONDS, is_going, is_settling
from reconciler.core.power_change import awaits_silence
from reconciler.core.recovery import Hints
from reconciler.errors import DurabilityError, ReconcilerError, Unexpected
from reconciler.loop import resting
from reconciler.loop.context import HostContext
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.run import attempt
from reconciler.loop.run_end import RunEnd, refused
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.leasing import Released, Roused
from reconciler.model.observed import CONTACT, POWER, UNIT, Observed
from reconciler.model.power import Power
from reconciler.model.records import (
    Hold,
    HostGone,
    HostReturned,
    OpenRun,
    Quarantine,
    SentDown,
)
from reconciler.model.spec import Slice
from reconciler.model.verdict import HostVerdict, Outcome

LOOK_SECONDS = 2.0
LONGEST_SILENCE_SECONDS = 2 * SILENCE_SECONDS
"""The last look may begin just before the silence is long enough, and take as long again."""


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
    told = {"notes": hints.notes, "lost_conversations": hints.lost_conversations}
    return verdict.model_copy(update=told)


async def _reconciled(request: PassRequest, context: HostContext) -> HostVerdict:
    slice_, host = request.slice, request.slice.host.name
    if request.provenance.objection:
        return _told(host, "refused", refused(request.provenance.objection))
    await _end_leases(request, context)
    hints = await context.hints(host)
    if hints.open_run is not None:
        context.say(f"{host}: {_cut_short(hints.open_run)}")
    aim, observed = await _aimed(request, context)
    if aim.acts and awaits_silence(aim.target.slice, observed, hints):
        await _outlast(observed, slice_, context)
        if context.interrupt.reason:
            return HostVerdict(host=host, outcome="interrupted", message=context.interrupt.reason)
        aim, observed = await _aimed(request, context)
    if aim.mode == "lease":
        return await _lent(request, context, aim, observed)
    if aim.mode == "idle":
        return await _rested(request, context, aim)
    match aim.cause:
        case Hold():
            return await _held(request, context, aim)
        case Quarantine() as failure:
            return await _healed(request, context, aim, failure)
        case None:
            return await _carried_out(request, context, aim, observed)


async def _aimed(request: PassRequest, context: HostContext) -> tuple[Aim, Observed]:
    """Where a host goes, by what is seen of it now, which may be to rest."""
    aim, observed = await _judged(request, context)
    if request.idles and await resting.begun(request, context, aim, observed):
        return await _judged(request, context)
    return aim, observed


async def _judged(request: PassRequest, context: HostContext) -> tuple[Aim, Observed]:
    """Where a host goes, by what is seen of it now."""
    slice_, host = request.slice, request.slice.host.name
    hints = await context.hints(host)
    observed = await context.look(slice_, hints)
    await _note_power(context, hints.sent_down, observed, host)
    now = context.clock.instant()
    aim = policy.aim(slice_, hints, observed, now, rules=request.rules, retries=request.retries)
    roused = idleness.roused(slice_, request.rules, hints, observed, aim.lent)
    if roused and not isinstance(aim.cause, Hold):
        await context.journal.append(Roused(host=host, because=roused))
    return aim, observed


async def _rested(request: PassRequest, context: HostContext, aim: Aim) -> HostVerdict:
    """Let a host rest; where that fails, what the file wants serves on."""
    host = request.slice.host.name
    end = await attempt(request, context, aim)
    match end.kind:
        case "in_sync" | "interrupted":
            return _told(host, end.kind, end)
        case "completed":
            return _told(host, "applied", end)
    why = "; ".join(filter(None, (end.message, *end.reasons)))
    wanted = digest(request.slice)
    await context.journal.append(Roused(host=host, because=why, failed=wanted))
    instead = await _reconciled(replace(request, idles=False), context)
    said = "; ".join(filter(None, (instead.message, f"it could not come to rest: {why}")))
    return instead.model_copy(update={"runs": (*end.runs, *instead.runs), "message": said})


async def _end_leases(request: PassRequest, context: HostContext) -> None:
    """Record the end of what is lent no longer."""
    host, hints = request.slice.host.name, await context.hints(request.slice.host.name)
    now = context.clock.instant()
    for name, why in lending.lapsed(request.slice, request.rules, hints, now).items():
        await context.journal.append(Released(host=host, model=name, because=why))


async def _lent(
    request: PassRequest, context: HostContext, aim: Aim, observed: Observed
) -> HostVerdict:
    """Bring in what is lent; where that fails, it is let go and not tried again soon."""
    slice_, host, interrupt = request.slice, request.slice.host.name, context.interrupt
    names = lending.newcomers(aim.brought, observed, await context.hints(host), host)
    end = await attempt(request, context, aim)
    is_undone = end.kind == "interrupted" and bool(interrupt.reason) and interrupt.goes_back
    match end.kind:
        case "in_sync":
            return _told(host, "in_sync", end)
        case "completed":
            return _told(host, "applied", end)
        case "interrupted" if not is_undone:
            return _told(host, "interrupted", end)
        case "refused" if not _is_absent(host, names, observed):
            # What serves is not let go for a look that failed.
            return _told(host, "refused", end)
    if not names:
        # What the file wants beside it does not come up.
        return _told(host, "interrupted" if is_undone else "unhealthy", end)
    why = "; ".join(filter(None, (end.message, *end.reasons)))
    for name in names:
        failed = None if is_undone else lending.lent_alone(slice_, name)
        await context.journal.append(Released(host=host, model=name, because=why, failed=failed))
    said = f"{', '.join(names)} cannot be brought in: {why}"
    context.say(f"{host}: {said}")
    # Without the lease it is the file's turn again; what serves there is not this failure's matter,
    # and what interrupted the run must not end the way back too.
    back = replace(context, interrupt=Interrupt()) if is_undone else context
    instead = await _reconciled(request, back)
    told: dict[str, object] = {"runs": (*end.runs, *instead.runs)}
    if lending.taken(aim.lent).keys() & names:
        # A person hears of it, where requests are told at the gateway.
        told |= {"message": said, "outcome": _instead(end, instead), "log": end.log}
    return instead.model_copy(update=told)


def _instead(end: RunEnd, instead: HostVerdict) -> Outcome:
    """The word for a lease that came to nothing, after which the file's turn ended as `instead`."""
    if end.kind == "interrupted":
        return "interrupted"
    return "rolled_back" if instead.outcome in {"in_sync", "applied"} else instead.outcome


async def _outlast(observed: Observed, slice_: Slice, context: HostContext) -> None:
    """Look at a silent host until it counts as down, which is recorded, or something else shows."""
    host, clock, interrupt = slice_.host.name, context.clock, context.interrupt
    key, sent = POWER(host), (await context.hints(host)).sent_down
    context.say(f"{phrases.seen([key], observed)}; waiting for that")
    observer, until = context.observer(slice_), clock.boot() + LONGEST_SILENCE_SECONDS
    # Silence counts only over looks that follow each other (ADR 0009): where no step waits, every
    # command would begin to count again, and none would ever know.
    while is_settling(observed, host, sent) and clock.boot() < until and not interrupt.reason:
        await clock.sleep(LOOK_SECONDS)
        observed = await observer.look([key], observed)
    await _note_power(context, sent, observed, host)


def _is_absent(host: str, model_names: Iterable[str], observed: Observed) -> bool:
    """Whether one of these models certainly does not run."""
    keys = [UNIT(host, name) for name in model_names]
    return any(not observed.unknown(key) and observed.value(key) is None for key in keys)


def _cut_short(run: OpenRun) -> str:
    effect = run.in_flight
    during = f" during {effect.step} {effect.model}".rstrip() if effect else ""
    return f"run {run.seq} was cut short{during}; looking again and going on from what is there"


def _told(host: str, outcome: Outcome, end: RunEnd) -> HostVerdict:
    """The verdict of a run with all that its end says."""
    return HostVerdict(
        host=host,
        outcome=outcome,
        message=end.message,
        reasons=end.reasons,
        log=end.log,
        runs=end.runs,
        serving=end.serving,
    )


async def _carried_out(
    request: PassRequest, context: HostContext, aim: Aim, observed: Observed
) -> HostVerdict:
    """Bring a host to what is wanted, and back where that fails."""
    host = request.slice.host.name
    end = await attempt(request, context, aim, observed)
    match end.kind:
        case "in_sync" | "refused":
            return _told(host, end.kind, end)
        case "completed":
            return _told(host, "applied", end)
        case "unmet":
            return _told(host, "unhealthy", end)
        case "failed" | "interrupted" if end.of_power:
            # Power is never gone back on: what a host was asked it may still do.
            return _told(host, "stalled" if end.kind == "failed" else "interrupted", end)
        case _:
            return await _rolled_back(request, context, end)


async def _note_power(
    context: HostContext, sent: SentDown | None, observed: Observed, host: str
) -> None:
    """Record what became of a host that was asked to go down."""
    if sent is None:
        return
    contact, power = observed.value(CONTACT(host)), observed.value(POWER(host))
    if contact is not None and not is_going(sent, contact, context.clock.instant()):
        # It answers: what was inferred of it is void (ADR 0009).
        await context.journal.append(HostReturned(host=host, boot_id=contact.boot_id))
    elif power is not None and _has_gone(sent, power):
        await context.journal.append(HostGone(host=host, because=power.because))


def _has_gone(sent: SentDown, power: Power) -> bool:
    return sent.is_heard and not sent.seen and power.state == sent.state


async def _held(request: PassRequest, context: HostContext, aim: Aim) -> HostVerdict:
    """Leave a held host alone, or free it first where that was asked."""
    host = request.slice.host.name
    outcome: Outcome = "in_sync" if request.trigger == "hold" else "refused"
    message, reasons = "the host is left as it is", (aim.reason,)
    left_alone = HostVerdict(
        host=host, outcome=outcome, held=True, message=message, reasons=reasons
    )
    if not aim.acts:
        return left_alone
    end = await attempt(request, context, aim)
    nothing_runs = {"message": "nothing runs there", "reasons": reasons}
    match end.kind:
        case "in_sync":
            return left_alone.model_copy(update=nothing_runs)
        case "completed":
            return _told(host, "applied", end).model_copy(update=nothing_runs)
        case "refused" | "interrupted":
            return _told(host, end.kind, end)
        case _:
            return _told(host, "stalled", end)


async def _healed(
    request: PassRequest, context: HostContext, aim: Aim, failure: Quarantine
) -> HostVerdict:
    """Bring a host whose wish is quarantined to last good, and keep it there."""
    host = request.slice.host.name
    left = phrases.is_left(failure)
    message = aim.reason if left else "the wanted state failed before"
    why = () if left else (aim.reason,)
    way = phrases.way_out(failure, host)
    reasons = (*why, f"{_again(aim)}{way}")
    left_alone = HostVerdict(
        host=host, outcome="refused", message=message, reasons=reasons, log=failure.log
    )
    if not aim.acts:
        return left_alone
    end = await attempt(request, context, aim)
    if request.trigger == "rollback" and _is_back(end, aim):
        return _told(host, "applied" if end.kind == "completed" else "in_sync", end)
    if end.kind == "in_sync":
        goes_on = "last good keeps serving" if end.serving else "nothing serves"
        kept = {"message": f"{message}; {goes_on}", "serving": end.serving}
        return left_alone.model_copy(update=kept)
    now = {"message": end.message, "runs": end.runs, "serving": end.serving}
    if end.kind != "completed":
        return left_alone.model_copy(update={**now, "outcome": "stalled"})
    # Another try would stop what serves now: whether one follows is for the next look to say.
    return left_alone.model_copy(update={**now, "outcome": "rolled_back", "reasons": (*why, way)})


def _again(aim: Aim) -> str:
    return "" if aim.retry_at is None else f"it is tried again {said_time(aim.retry_at)}; "


def _is_back(end: RunEnd, aim: Aim) -> bool:
    """Whether a host serves all that it went back to."""
    if end.kind == "in_sync":
        return end.serving == phrases.urls(aim.target.slice)
    return end.kind == "completed"


async def _rolled_back(request: PassRequest, context: HostContext, failed: RunEnd) -> HostVerdict:
    """Go back to last good after a failed or interrupted run; without one, stop what failed."""
    host = request.slice.host.name
    interrupted = failed.kind == "interrupted"
    hints = await context.hints(host)
    if interrupted and not (failed.torn_down and context.interrupt.goes_back):
        return _told(host, "interrupted", failed)
    aim = await _way_back(request.slice, context, hints)
    context.say(f"{host}: {failed.message}; going back to {_named(aim.target.slice)}")
    # What interrupted the run must not end its way back too.
    back = await attempt(request, replace(context, interrupt=Interrupt()), aim)
    told = {"runs": (*failed.runs, *back.runs), "serving": back.serving}
    if back.kind not in {"completed", "in_sync"}:
        why = "; ".join(back.reasons) or back.message
        told["message"] = f"{failed.message}; going back failed too: {why}"
        return _told(host, "stalled", failed).model_copy(update=told)
    reached: Outcome = "rolled_back" if hints.last_good else "unhealthy"
    outcome: Outcome = "interrupted" if interrupted else reached
    return _told(host, outcome, failed).model_copy(update=told)


def _named(slice_: Slice) -> str:
    return ", ".join(slice_.active or ()) or "nothing running"


async def _way_back(slice_: Slice, context: HostContext, hints: Hints) -> Aim:
    if policy.last_good(slice_, hints) is not None:
        return policy.back(slice_, hints, ())
    return policy.back(slice_, hints, await _untouched(slice_, context, hints))


async def _untouched(slice_: Slice, context: HostContext, hints: Hints) -> tuple[str, ...]:
    """The models that ran before the run that failed, and still run."""
    # What is well is not stopped for what is not.
    names = [name for name in slice_.active or () if name not in hints.unproven]
    keys = {name: UNIT(slice_.host.name, name) for name in names}
    world = await context.observer(slice_).look(keys.values())
    return tuple(name for name, key in keys.items() if world.value(key) is not None)
