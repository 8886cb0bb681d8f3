"""Lend: bring a model in for a while in place of what desired.yaml says, and ask before that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from reconciler.core import lending
from reconciler.core.canonical import digest
from reconciler.core.deadlines import parse_span, said_at
from reconciler.errors import Misused, NotApproved, Refused
from reconciler.loop.survey import HostSurvey, survey
from reconciler.model.leasing import Leased, Released, Term
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.ports import Proposal
from reconciler.render.documents import VerdictDocument
from reconciler.render.json import plan_document
from reconciler.render.plan_document import Meaning
from reconciler.steps.plan import Plan
from reconciler.verbs import apply
from reconciler.verbs.context import Actor, Caller
from reconciler.verbs.hosts import home
from reconciler.verbs.result import Outcome

SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 7 * 86_400.0
MOST_CHARACTERS = 200


@dataclass(frozen=True)
class LendWords:
    """How a model was asked for: by whom, for how long, as `2h`, and why."""

    model: str
    by: str
    duration: str
    reason: str = ""
    host: str | None = None


async def run(app: Actor, words: LendWords, caller: Caller) -> Outcome[VerdictDocument]:
    """Record the lease once its plan is approved, and carry that out.

    Raise Misused, Refused or NotApproved before anything is recorded; then as apply.
    """
    seconds = _duration(words)
    wanted = app.source.read()
    lease = _lease(wanted, words, app.clock.wall() + seconds)
    allowed = await approved(app, wanted, (lease,), caller)
    request = apply.ApplyRequest(trigger="use", noting=(lease,), approved=True)
    once = replace(caller, approve=lambda plan: plan.hosts == allowed or caller.approve(plan))
    outcome = await apply.run(app, request, once)
    if lease.term is not None and not outcome.exit_code:
        until = said_at(lease.term.until)
        caller.say(f"desired.yaml is not changed; what it says comes back at {until}")
    return outcome


def _duration(words: LendWords) -> float:
    seconds = parse_span(words.duration) or 0.0
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise Misused(f'found --for {words.duration}, expected 1s to 7d, such as "2h"')
    if len(words.reason) > MOST_CHARACTERS or not words.reason.isprintable():
        raise Misused(f"--reason must be one line of at most {MOST_CHARACTERS} characters")
    return seconds


def _lease(wanted: Wanted, words: LendWords, until: float) -> Leased:
    slice_ = _home(wanted, words)
    host = slice_.host.name
    if slice_.active is None:
        raise Refused(
            f"nothing was changed: desired.yaml does not say what runs on {host}, so nothing would"
            " come back; write `active:` there"
        )
    if slice_.power in {"off", "suspend"}:
        raise Refused(f"nothing was changed: desired.yaml says `power: {slice_.power}` for {host}")
    term = Term(by=words.by, reason=words.reason, until=until)
    return Leased(host=host, model=words.model, wanted=digest(slice_), term=term)


def _home(wanted: Wanted, words: LendWords) -> Slice:
    """The host of the model; raise Misused."""
    slice_ = home(wanted, words.model)
    host = slice_.host.name
    if words.host not in {None, host}:
        raise Misused(f"{words.model} is a model of {host}, not of {words.host}")
    return slice_


async def approved(
    app: Actor, wanted: Wanted, noting: Collection[Leased | Released], caller: Caller
) -> tuple[Meaning, ...]:
    """Plan as if leases had begun or ended, have that approved where it acts; give its meaning.

    Raise Refused or NotApproved.
    """
    seen = await survey(app, wanted, noting)
    return agreed(wanted, seen, {one.host for one in noting}, caller)


def agreed(
    wanted: Wanted, seen: Sequence[HostSurvey], hosts: Collection[str], caller: Caller
) -> tuple[Meaning, ...]:
    """Have approved what was planned, where it acts, and give its meaning.

    Raise NotApproved, or Refused where nothing may be done to one of these hosts.
    """
    if reasons := [why for one in seen if one.plan.host in hosts for why in _objections(one)]:
        raise Refused(f"nothing was changed: {'; '.join(reasons)}")
    plan = Plan(provenance=wanted.provenance, hosts=tuple(one.shown for one in seen))
    document = plan_document(plan)
    if any(one.acts for one in seen) and not caller.approve(document):
        raise NotApproved("nothing was changed: the plan was not approved")
    return document.hosts


def _objections(seen: HostSurvey) -> tuple[str, ...]:
    """Why what is asked for may not be done; that the file's wish failed keeps out nothing lent."""
    return seen.refusals if seen.plan.mode == "lease" else seen.plan.refusals


async def ends(app: Actor, proposal: Proposal) -> tuple[Released, ...]:
    """The ends of what persons took on a host, when one asks for what the file says already."""
    host = proposal.host
    slice_ = app.source.read().slices.get(host)
    hints = await app.remembered().hints(host)
    if slice_ is None:
        return ()
    there = {proposal.model} | lending.rivals(slice_).get(proposal.model, frozenset())
    because = f"`reconciler use {proposal.model}`"
    return tuple(
        Released(host=host, model=name, because=because)
        for name in lending.taken(hints.leases)
        if name in there
    )
