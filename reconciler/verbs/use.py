"""Use: edit desired.yaml so that a model is the active one, show what follows, ask, and apply."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import phrases
from reconciler.errors import LockHeld, NotApproved, ReconcilerError, Refused
from reconciler.loop.survey import survey
from reconciler.model.leasing import Released
from reconciler.model.reason import Reason
from reconciler.model.target import Provenance
from reconciler.ports import Proposal
from reconciler.render.documents import HostEnd, VerdictDocument
from reconciler.render.json import plan_document
from reconciler.render.plan_document import Meaning
from reconciler.steps.plan import Plan
from reconciler.verbs import apply, lend
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
    ends: tuple[Released, ...] = ()
    if proposal.diff:
        _refuse_beside_another(app)
        approved = await _approved(app, proposal, message, caller)
        lost = proposal.write()
        caller.say(f"{proposal.path} is written{_without(lost)}")
    else:
        caller.say(f"{proposal.path} already says so; nothing to write")
        ends = await lend.ends(app, proposal)
        # Nothing is written that could be approved, but what a person took gives way.
        approved = await lend.approved(app, app.source.read(), ends, caller) if ends else ()
    if message:
        proposal.commit(message)
    request = apply.ApplyRequest(trigger="use", noting=ends, approved=True)
    # What was approved is asked about again only when the world moved while it was written. A watch
    # works on it since the write.
    once = replace(caller, approve=lambda plan: plan.hosts == approved or caller.approve(plan))
    return await _applied(app, proposal, request, once)


async def _applied(
    app: Actor, proposal: Proposal, request: apply.ApplyRequest, caller: Caller
) -> Outcome[VerdictDocument]:
    try:
        outcome = await apply.run(app, request, caller)
    except ReconcilerError:
        caller.say(_still_says(proposal))
        raise
    end = next((host for host in outcome.document.hosts if host.host == proposal.host), None)
    if end is not None and end.outcome not in REACHED:
        caller.say(_still_says(proposal, end))
    return outcome


def _still_says(proposal: Proposal, end: HostEnd | None = None) -> str:
    """Tell what the file says that was not reached, what follows, and what keeps what serves."""
    failed = end is not None and end.outcome in {"rolled_back", "unhealthy", "stalled"}
    follows = phrases.WAITS if failed else "follows at the next apply, or by a watch"
    serving = list(end.serving) if end else []
    instead = _instead(proposal, serving)
    return f"{proposal.path} still says what was asked for, which {follows}; {instead}"


def _instead(proposal: Proposal, serving: list[str]) -> str:
    if len(serving) != 1:
        return "edit it to say what should run"
    (name,) = serving
    # It went back to an older definition of the same model: `use` of it would change nothing.
    if name == proposal.model:
        return f"{name} serves as it was defined before: correct what inventory.yaml says of it"
    return f"`reconciler use {name}` keeps {name}"


def _without(lost: tuple[str, ...]) -> str:
    if not lost:
        return ""
    return (
        f", but {' and '.join(lost)} could not be kept, which this user may not set: set it again"
        " with `chown`, `chmod` or `setfacl`"
    )


def _refuse_beside_another(app: Actor) -> None:
    """Raise LockHeld, with nothing written, while a process acts that takes no requests."""
    try:
        with app.lock.held():
            return
    except LockHeld as held:
        if not held.obeys:
            raise LockHeld(f"nothing was written: {held.message}") from held


async def _approved(
    app: Actor, proposal: Proposal, message: str, caller: Caller
) -> tuple[Meaning, ...]:
    """Plan the proposal, have that approved, and return its meaning."""
    wanted = proposal.read()
    _refuse_what_git_refuses(wanted.provenance, proposal, commits=bool(message))
    caller.say(proposal.diff)
    # What git objects to is that the change is not committed yet.
    quiet = wanted.provenance.model_copy(update={"objection": Reason()})
    seen = await survey(app, wanted.model_copy(update={"provenance": quiet}))
    reasons = next(one.plan.refusals for one in seen if one.slice.host.name == proposal.host)
    if reasons:
        raise Refused(f"nothing was written: {'; '.join(reasons)}")
    plan = Plan(provenance=wanted.provenance, hosts=tuple(one.plan for one in seen))
    document = plan_document(plan)
    if not caller.approve(document):
        raise NotApproved(f"nothing was written: the change was not approved; {AGAIN}")
    return document.hosts


def _refuse_what_git_refuses(provenance: Provenance, proposal: Proposal, *, commits: bool) -> None:
    if commits and provenance.trouble:
        raise Refused(f"nothing was written: {provenance.trouble}")
    if commits and provenance.state == "not in git":
        raise Refused(
            f"nothing was written: {proposal.path} is in no git repository; leave out --commit, or"
            " `git init`"
        )
    if provenance.objection and not commits:
        raise Refused(
            f"nothing was written: {provenance.objection}; with --commit the change is committed"
        )
