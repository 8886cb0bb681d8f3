"""Apply: bring every host to what desired.yaml says, or back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio

from reconciler.core import gate
from reconciler.core.canonical import digest
from reconciler.errors import ConfigError, LockHeld, NotApproved, PlanStale
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.reconcile import reconcile
from reconciler.loop.survey import survey
from reconciler.model.names import Digest
from reconciler.model.records import Asked, Hold, Resume, Retry, RollBack
from reconciler.model.spec import Slice
from reconciler.model.target import Provenance, Wanted
from reconciler.model.verdict import HostVerdict
from reconciler.render.documents import HostEnd, PlanDocument, VerdictDocument
from reconciler.render.json import plan_document
from reconciler.steps.plan import HostPlan, Plan
from reconciler.verbs import delegate
from reconciler.verbs.context import Actor, Caller
from reconciler.verbs.result import OK, Outcome, worst


@dataclass(frozen=True)
class ApplyRequest:
    """How apply was asked: a saved plan's document, seconds until it gives up waiting, pruning, taking over.

    `noting` is recorded once it is approved, and planned with before. `approved` is whatever would
    be done, so that a plan which was shown and no longer fits is planned anew, where another one
    would be refused.
    """

    saved: Mapping[str, Any] | None = None
    timeout: float | None = None
    prune: bool = False
    take_over: bool = False
    trigger: str = "apply"
    noting: tuple[Retry | RollBack | Hold | Resume, ...] = ()
    approved: bool = False
    beside_one_that_died: bool = False

    def of_host(
        self, slice_: Slice, provenance: Provenance, approved: Digest | None
    ) -> PassRequest:
        """Return what is asked of one host."""
        return PassRequest(
            slice_, provenance, self.trigger, approved, prune=self.prune, take_over=self.take_over
        )

    @property
    def binds_nothing(self) -> bool:
        """Whether no plan of before has to be the one that is carried out."""
        return self.approved and self.saved is None


class _Approval:
    """Ask a person about a plan, but not about the same one twice: who acted before may have died in between."""

    def __init__(self, approve: Callable[[PlanDocument], bool]) -> None:
        """Ask by `approve`."""
        self._approve = approve
        self._approved: object = None

    def __call__(self, document: PlanDocument) -> bool:
        if document.hosts != self._approved:
            self._approved = document.hosts if self._approve(document) else None
        return self._approved is not None


async def run(app: Actor, request: ApplyRequest, caller: Caller) -> Outcome[VerdictDocument]:
    """Plan, ask for approval, act, or let who acts already do it.

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
        outcome = await _ask(app, request, caller)
        if outcome is not None:
            return outcome
        caller.say("the process that acted on this data directory is gone; acting here")
        request = replace(request, noting=(), beside_one_that_died=True)


async def _ask(
    app: Actor, request: ApplyRequest, caller: Caller
) -> Outcome[VerdictDocument] | None:
    """Let the one that acts do it; return None when it is gone."""
    wanted = app.source.read()
    plans = {} if request.binds_nothing else await _approved(app, request, wanted, caller)
    for record in request.noting:
        await app.journal.append(record)
    asked = [
        Asked(
            host=name,
            trigger=request.trigger,
            wanted=digest(slice_),
            approved=gate.approval(plans[name]) if name in plans else None,
            prune=request.prune,
            take_over=request.take_over,
        )
        for name, slice_ in wanted.slices.items()
    ]
    verdicts = await delegate.ask(app, asked, caller.say, request.timeout)
    if verdicts is None:
        return None
    late = (
        f"no end within the {request.timeout or 0:.0f} s of --timeout; the process that acts here"
        " continues it"
    )
    return _outcome(
        [
            verdicts.get(name) or HostVerdict(host=name, outcome="unhealthy", message=late)
            for name in sorted(wanted.slices)
        ]
    )


async def _apply(app: Actor, request: ApplyRequest, caller: Caller) -> Outcome[VerdictDocument]:
    wanted = app.source.read()
    plans = await _approved(app, request, wanted, caller)
    for record in request.noting:
        await app.journal.append(record)
    return _outcome(
        await _all_hosts(app, request, wanted, {} if request.binds_nothing else plans, caller)
    )


async def _approved(
    app: Actor, request: ApplyRequest, wanted: Wanted, caller: Caller
) -> Mapping[str, HostPlan]:
    """Return the plans of all hosts, approved where there is anything to approve.

    Raise NotApproved or PlanStale.
    """
    seen = await survey(
        app, wanted, request.noting, prune=request.prune, take_over=request.take_over
    )
    document = plan_document(
        Plan(provenance=wanted.provenance, hosts=tuple(one.shown for one in seen))
    )
    _compare(document, request.saved)
    if any(one.acts for one in seen) and request.saved is None and not caller.approve(document):
        nothing = "nothing more" if request.beside_one_that_died else "nothing"
        raise NotApproved(
            f"{nothing} was done: the plan was not approved; `reconciler {request.trigger} --yes`"
            " applies without asking"
        )
    return {one.slice.host.name: one.plan for one in seen}


def _outcome(verdicts: Sequence[HostVerdict]) -> Outcome[VerdictDocument]:
    return Outcome(
        VerdictDocument(hosts=tuple(map(HostEnd.of, verdicts))), worst(verdicts) if verdicts else OK
    )


def _compare(now: PlanDocument, saved: Mapping[str, Any] | None) -> None:
    """Refuse a saved plan whose meaning is not that of the plan made now."""
    if saved is None:
        return
    if "hosts" not in saved:
        raise ConfigError(
            "this is not a saved plan: it names no hosts; `reconciler plan --save FILE` writes one"
        )
    document = now.model_dump(mode="json")
    if saved["hosts"] == document["hosts"]:
        return
    before, after = _lines(saved), _lines(document)
    gone = [f"  - {line}" for line in before if line not in after]
    new = [f"  + {line}" for line in after if line not in before]
    how = "\n".join([*gone, *new] or ["  the wanted state"])
    raise PlanStale(
        "the saved plan no longer fits; look at what would be done now with `reconciler plan`. It"
        f" differs so:\n{how}"
    )


def _lines(document: Mapping[str, Any]) -> list[str]:
    return [
        f"{host['host']}: {step['kind']} {step['target']} {step['digest'][-8:]}".rstrip()
        for host in document["hosts"]
        for step in host["steps"]
    ]


async def _all_hosts(
    app: Actor, request: ApplyRequest, wanted: Wanted, plans: Mapping[str, HostPlan], caller: Caller
) -> list[HostVerdict]:
    interrupt, cache = Interrupt(), HintsCache(app.journal)
    verdicts: dict[str, HostVerdict] = {}

    async def one(name: str) -> None:
        approved = gate.approval(plans[name]) if name in plans else None
        context = HostContext(
            PortsCache(app.ports), cache, app.clock, app.controller, interrupt, caller.say, app.keep
        )
        verdicts[name] = await reconcile(
            request.of_host(wanted.slices[name], wanted.provenance, approved), context
        )

    async with caller.may_end(interrupt), anyio.create_task_group() as watching:
        if request.timeout is not None:
            watching.start_soon(_timed_out, interrupt, request.timeout)
        async with anyio.create_task_group() as group:
            for name in wanted.slices:
                group.start_soon(one, name)
        watching.cancel_scope.cancel()
    ordered = [verdicts[name] for name in sorted(verdicts)]
    if interrupt.way == "late":
        return [
            v.model_copy(update={"outcome": "unhealthy"}) if v.outcome == "interrupted" else v
            for v in ordered
        ]
    return ordered


async def _timed_out(interrupt: Interrupt, seconds: float) -> None:
    await anyio.sleep(seconds)
    interrupt.request(f"no end within the {seconds:.0f} s of --timeout", "late")
