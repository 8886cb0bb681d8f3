"""Use: make a model the active one of its host.

Edits desired.yaml, shows what follows, asks, writes, applies.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.errors import LockHeld, NotApproved, ReconcilerError, Refused
from reconciler.loop.survey import survey
from reconciler.ports import Proposal
from reconciler.render.documents import HostEnd, Meaning, VerdictDocument
from reconciler.render.json import plan_document
from reconciler.steps.plan import Plan
from reconciler.verbs import apply
from reconciler.verbs.context import Actor, Caller
from reconciler.verbs.result import Outcome

REACHED = {"in_sync", "applied"}
AGAIN = "`--yes` does it without asking"


async def run(
    app: Actor, proposal: Proposal, message: str, caller: Caller
) -> Outcome[VerdictDocument]:
    """Write the proposal once it is approved, commit it when there is a `message`, and apply.

    Raise LockHeld, Refused or NotApproved before anything is written; then PlanStale, Unreachable,
    and as apply.
    """
    approved: tuple[Meaning, ...] = ()
    if proposal.diff:
        _refuse_beside_another(app)
        approved = await _approved(app, proposal, message, caller)
        lost = proposal.write()
        caller.say(f"{proposal.path} is written{_without(lost) if lost else ''}")
    else:
        caller.say(f"{proposal.path} says so already; nothing to write")
    if message:
        proposal.commit(message)
    # What was approved is asked about again only when the world moved while it was written. A watch
    # is at it since the write.
    request = apply.ApplyRequest(trigger="use", approved=True)
    once = replace(caller, approve=lambda plan: plan.hosts == approved or caller.approve(plan))
    try:
        outcome = await apply.run(app, request, once)
    except ReconcilerError:
        caller.say(_still_says(proposal))
        raise
    ends = {host.host: host for host in outcome.document.hosts}
    end = ends.get(proposal.host)
    if end is not None and end.outcome not in REACHED:
        caller.say(_still_says(proposal, end))
    return outcome


def _still_says(proposal: Proposal, end: HostEnd | None = None) -> str:
    """Return what the file says that was not reached, what follows from that, and what keeps what serves instead."""
    failed = end is not None and end.outcome in {"rolled_back", "unhealthy", "stalled"}
    follows = (
        "is left alone until it changes, or `reconciler retry`"
        if failed
        else "follows at the next apply, or by a watch"
    )
    match list(end.serving if end else ()):
        case [name] if name == proposal.model:
            instead = (
                f"{name} serves as it was defined before: correct what inventory.yaml says of it"
            )
        case [name]:
            instead = f"`reconciler use {name}` keeps {name}"
        case _:
            instead = "edit it to say what is to run"
    return f"{proposal.path} still says what was asked for, which {follows}; {instead}"


def _without(lost: tuple[str, ...]) -> str:
    what = " and ".join(lost)
    return (
        f", but {what} could not be kept, which this user may not set: set it again with `chown`,"
        " `chmod` or `setfacl`"
    )


def _refuse_beside_another(app: Actor) -> None:
    """Raise LockHeld, with nothing written, while somebody acts who takes no requests."""
    try:
        with app.lock.held():
            return
    except LockHeld as held:
        if not held.obeys:
            raise LockHeld(f"nothing was written: {held.message}") from held


async def _approved(
    app: Actor, proposal: Proposal, message: str, caller: Caller
) -> tuple[Meaning, ...]:
    """Return the meaning of the plan that follows from the proposal, approved."""
    wanted = proposal.read()
    provenance = wanted.provenance
    if message and provenance.trouble:
        raise Refused(f"nothing was written: {provenance.trouble}")
    if message and provenance.state == "not in git":
        raise Refused(
            f"nothing was written: no git repository answers for {proposal.path}; leave --commit"
            " out, or `git init`"
        )
    if provenance.objection and not message:
        raise Refused(
            f"nothing was written: {provenance.objection}; with --commit the change is committed"
        )
    caller.say(proposal.diff)
    # What git objects to is that the change is not committed yet.
    wanted = wanted.model_copy(
        update={"provenance": provenance.model_copy(update={"objection": ""})}
    )
    seen = await survey(app, wanted)
    reasons = next(one.plan.refusals for one in seen if one.slice.host.name == proposal.host)
    if reasons:
        raise Refused(f"nothing was written: {'; '.join(reasons)}")
    document = plan_document(Plan(provenance=provenance, hosts=tuple(one.plan for one in seen)))
    if not caller.approve(document):
        raise NotApproved(f"nothing was written: the change was not approved; {AGAIN}")
    return document.hosts
