"""Apply: bring every host to what desired.yaml says, or back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import anyio

from reconciler.core import gate
from reconciler.core.canonical import digest
from reconciler.errors import LockHeld, NotApproved
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.reconcile import reconcile
from reconciler.loop.survey import HostSurvey, survey
from reconciler.model.leasing import Leased, Released
from reconciler.model.lending import NOTHING_LENT
from reconciler.model.names import Digest
from reconciler.model.records import Asked, Hold, Restart, Resume, Retry, RollBack
from reconciler.model.spec import Slice
from reconciler.model.target import Provenance, Wanted
from reconciler.model.verdict import HostVerdict
from reconciler.render.documents import HostEnd, VerdictDocument
from reconciler.render.json import plan_document
from reconciler.render.plan_document import PlanDocument
from reconciler.steps.plan import HostPlan, Plan
from reconciler.verbs import delegate, saved_plan
from reconciler.verbs.context import Actor, Caller, host_context
from reconciler.verbs.result import OK, Outcome, worst


@dataclass(frozen=True)
class ApplyRequest:
    """How apply was asked.

    `saved` is the document of a saved plan, `timeout` the seconds until it gives up waiting.
    `noting` is recorded once it is approved, and planned with before. `approved` is whatever would
    be done, so that a plan which was shown and no longer fits is planned again, where another one
    would be refused.
    """

    saved: Mapping[str, Any] | None = None
    timeout: float | None = None
    prune: bool = False
    take_over: bool = False
    trigger: str = "apply"
    noting: tuple[Retry | Restart | RollBack | Hold | Resume | Leased | Released, ...] = ()
    approved: bool = False
    beside_one_that_died: bool = False

    def of_host(
        self, slice_: Slice, provenance: Provenance, approved: Digest | None
    ) -> PassRequest:
        """Ask the same of one host."""
        return PassRequest(
            slice_, provenance, self.trigger, approved, prune=self.prune, take_over=self.take_over
        )

    @property
    def binds_nothing(self) -> bool:
        """Whether no plan of before has to be the one that is carried out."""
        return self.approved and self.saved is None


class _Approval:
    """What a person says to a plan, asked once for each."""

    def __init__(self, approve: Callable[[PlanDocument], bool]) -> None:
        self._approve = approve
        self._approved: object = None

    def __call__(self, document: PlanDocument) -> bool:
        # The process that acted may die after the plan was approved: the same one is asked no more.
        if document.hosts != self._approved:
            self._approved = document.hosts if self._approve(document) else None
        return self._approved is not None


class _Job(NamedTuple):
    """A request, what the files want of each host, and the plans that were approved for it."""

    request: ApplyRequest
    wanted: Wanted
    plans: Mapping[str, HostPlan]

    def approved(self, host: str) -> Digest | None:
        """Name the plan of a host that was approved, None where any will do."""
        return gate.approval(self.plans[host]) if host in self.plans else None


async def run(app: Actor, request: ApplyRequest, caller: Caller) -> Outcome[VerdictDocument]:
    """Plan, ask for approval, and act, or have the process that acts already do it.

    Raise LockHeld by one that takes no requests, NotApproved, PlanStale, ConfigError or
    DurabilityError.
    """
    caller = replace(caller, approve=_Approval(caller.approve))
    while True:
        try:
            with app.lock.held():
                return await _apply(app, request, caller)
        except LockHeld as held:
            if not held.obeys:
                raise
        outcome = await _delegate(app, request, caller)
        if outcome is not None:
            return outcome
        caller.say("the process that acted on this data directory is gone; acting here")
        # What should be remembered was recorded when it was asked: twice would be two requests.
        request = replace(request, noting=(), beside_one_that_died=True)


async def _delegate(
    app: Actor, request: ApplyRequest, caller: Caller
) -> Outcome[VerdictDocument] | None:
    """Have the process that acts do it; return None when that is gone."""
    wanted = app.source.read()
    plans = {} if request.binds_nothing else await _approved(app, request, wanted, caller)
    await note(app, request)
    asked = await delegate.begin(app, _rows(_Job(request, wanted, plans)))
    caller.asked(asked)
    verdicts = await delegate.verdicts(app, asked, caller.say, request.timeout)
    if verdicts is None:
        return None
    late = (
        f"no end within the {request.timeout or 0:.0f} s of --timeout; the process that acts here"
        " continues it"
    )
    return _outcome([verdicts.get(name) or _late(name, late) for name in sorted(wanted.slices)])


def _rows(job: _Job) -> list[Asked]:
    request = job.request
    return [
        Asked(
            host=name,
            trigger=request.trigger,
            wanted=digest(slice_),
            approved=job.approved(name),
            prune=request.prune,
            take_over=request.take_over,
        )
        for name, slice_ in job.wanted.slices.items()
    ]


def _late(host: str, message: str) -> HostVerdict:
    return HostVerdict(host=host, outcome="unhealthy", message=message)


async def _apply(app: Actor, request: ApplyRequest, caller: Caller) -> Outcome[VerdictDocument]:
    # Here no gateway runs: what requests once brought in is over.
    read = app.source.read()
    rules = {host: one.without_requests for host, one in read.rules.items()}
    wanted = read.model_copy(update={"rules": rules})
    plans = await _approved(app, request, wanted, caller)
    # Not before: a rollback or hold that was not approved leaves no trace.
    await note(app, request)
    job = _Job(request, wanted, {} if request.binds_nothing else plans)
    return _outcome(await _all_hosts(app, job, caller))


async def note(app: Actor, request: ApplyRequest) -> None:
    """Record what should be remembered."""
    for record in request.noting:
        await app.journal.append(record)


async def _approved(
    app: Actor, request: ApplyRequest, wanted: Wanted, caller: Caller
) -> Mapping[str, HostPlan]:
    """Plan every host, and have that approved where anything would be done.

    Raise NotApproved or PlanStale.
    """
    seen = await survey(
        app, wanted, request.noting, prune=request.prune, take_over=request.take_over
    )
    shown = tuple(one.shown for one in seen)
    document = plan_document(Plan(provenance=wanted.provenance, hosts=shown))
    if request.saved is not None:
        saved_plan.compare(document, request.saved)
    elif _acts(seen) and not caller.approve(document):
        raise _not_approved(request)
    return {one.slice.host.name: one.plan for one in seen}


def _acts(seen: Sequence[HostSurvey]) -> bool:
    return any(one.acts for one in seen)


def _not_approved(request: ApplyRequest) -> NotApproved:
    nothing = "nothing more" if request.beside_one_that_died else "nothing"
    return NotApproved(
        f"{nothing} was done: the plan was not approved; `--yes` applies without asking"
    )


def _outcome(verdicts: Sequence[HostVerdict]) -> Outcome[VerdictDocument]:
    document = VerdictDocument(hosts=tuple(map(HostEnd.of, verdicts)))
    return Outcome(document, worst(verdicts) if verdicts else OK)


async def _all_hosts(app: Actor, job: _Job, caller: Caller) -> list[HostVerdict]:
    interrupt, cache = Interrupt(), HintsCache(app.journal)
    verdicts: dict[str, HostVerdict] = {}

    async def one(name: str) -> None:
        context = host_context(app, cache, interrupt, caller.say)
        verdicts[name] = await reconcile(_pass(job, name), context)

    timeout = job.request.timeout
    async with caller.may_end(interrupt), anyio.create_task_group() as watching:
        if timeout is not None:
            watching.start_soon(_timed_out, interrupt, timeout)
        async with anyio.create_task_group() as group:
            for name in job.wanted.slices:
                group.start_soon(one, name)
        watching.cancel_scope.cancel()
    ordered = [verdicts[name] for name in sorted(verdicts)]
    return [_unhealthy(one) for one in ordered] if interrupt.way == "late" else ordered


def _pass(job: _Job, host: str) -> PassRequest:
    slice_, provenance = job.wanted.slices[host], job.wanted.provenance
    rules = job.wanted.rules.get(host, NOTHING_LENT)
    return replace(job.request.of_host(slice_, provenance, job.approved(host)), rules=rules)


def _unhealthy(verdict: HostVerdict) -> HostVerdict:
    """Judge what a deadline ended: a person who interrupts gets 130, --timeout gets 3."""
    interrupted = verdict.outcome == "interrupted"
    return verdict.model_copy(update={"outcome": "unhealthy"}) if interrupted else verdict


async def _timed_out(interrupt: Interrupt, seconds: float) -> None:
    await anyio.sleep(seconds)
    interrupt.request(f"no end within the {seconds:.0f} s of --timeout", "late")
