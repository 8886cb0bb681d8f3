"""Plan: show what would be done, and touch nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import anyio

from reconciler.core import gate, planner, policy
from reconciler.core.canonical import digest
from reconciler.core.ownership import Ownership
from reconciler.core.recovery import Hints, of_host
from reconciler.errors import Unexpected
from reconciler.loop.observer import Observer, remembered
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.observed import Observed
from reconciler.model.records import Record, Row
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.render.documents import PlanDocument
from reconciler.render.json import plan_document
from reconciler.steps.plan import HostPlan, Plan
from reconciler.verbs.context import Reader
from reconciler.verbs.result import OK, PENDING, REFUSED, Outcome


@dataclass(frozen=True)
class Seen:
    """Hold what was found out about one host, and planned from it."""

    slice: Slice
    observed: Observed
    hints: Hints
    plan: HostPlan
    instead: str = ""

    @property
    def acts(self) -> bool:
        """Return whether applying would do anything: what keeps a wish away may still bring back last good, or free the host."""
        return bool(self.plan.steps) and all(reason == self.instead for reason in self.plan.refusals)

    @property
    def shown(self) -> HostPlan:
        """Return the plan as one who is to approve it sees it: what keeps a wish away refuses nothing that will be done."""
        if not self.acts:
            return self.plan
        return self.plan.model_copy(update={"notes": (*self.plan.notes, *self.plan.refusals), "refusals": ()})


class Sight(NamedTuple):
    """Hold what is seen and remembered of a host, and where it should aim."""

    observed: Observed
    hints: Hints
    aim: policy.Aim


async def look(
    looking: Reader, wanted: Wanted, noting: Iterable[Record] = (), *, prune: bool = False, take_over: bool = False
) -> tuple[Seen, ...]:
    """Observe and plan every host, side by side, in the order of their names, as if `noting` were recorded already."""
    rows = list(await looking.journal.rows())
    for record in noting:
        rows.append(Row(seq=rows[-1].seq + 1 if rows else 1, when=looking.clock.instant(), record=record))
    objection = wanted.provenance.objection
    seen: dict[str, Seen] = {}

    async def see(slice_: Slice) -> Seen:
        known = of_host(rows, slice_.host.name)
        sent_down = remembered(known.sent_down)
        observed = await Observer(looking.readers(slice_), slice_, looking.clock, sent_down).everything()
        mine = replace(known, held=policy.holding(known, looking.clock.instant()))
        aim = policy.aim(slice_, mine, observed, looking.clock.instant())
        there = observed
        if aim.target.slice != slice_:
            # What is gone back to has its own definitions: its weights, its programs, and what it keeps.
            back = aim.target.slice
            there = await Observer(looking.readers(back), back, looking.clock, sent_down).everything()
        made = _planned(looking, slice_, Sight(there, mine, aim), prune=prune, take_over=take_over)
        planned = replace(made, observed=observed)
        return _refused(planned, objection) if objection else planned

    async def one(slice_: Slice) -> None:
        host = slice_.host.name
        try:
            with unforeseen(looking.keep):
                seen[host] = await see(slice_)
        except Unexpected as error:
            seen[host] = broken(slice_, error)

    async with anyio.create_task_group() as group:
        for slice_ in wanted.slices.values():
            group.start_soon(one, slice_)
    return tuple(seen[name] for name in sorted(seen))


def broken(slice_: Slice, error: Unexpected) -> Seen:
    """Return what is left of a host of which nothing could be worked out: the reason."""
    plan = HostPlan(
        host=slice_.host.name,
        mode="forward",
        digest=digest(slice_),
        headline="nothing can be said of it",
        steps=(),
        refusals=(error.message,),
        lost_conversations=None,
    )
    return Seen(slice_, Observed(), Hints(), plan)


def _refused(seen: Seen, reason: str) -> Seen:
    return replace(seen, plan=seen.plan.model_copy(update={"refusals": (reason, *seen.plan.refusals)}))


def _planned(looking: Reader, slice_: Slice, sight: Sight, *, prune: bool, take_over: bool) -> Seen:
    observed, hints, aim = sight
    plan = planner.plan(aim.target, observed, hints, mode=aim.mode, prune=prune)
    ours = Ownership.known(looking.controller, hints, looking.clock.instant())
    reasons = gate.refusals(plan, observed, ours, take_over=take_over)
    if aim.reason:
        reasons = (aim.reason, *reasons)
    return Seen(slice_, observed, hints, plan.model_copy(update={"refusals": reasons, "cause": aim.cause}), aim.instead)


async def run(looking: Reader, *, detailed: bool) -> Outcome[PlanDocument]:
    """Return the plan; with `detailed`, exit 2 says that there is something to do."""
    wanted = looking.source.read()
    seen = await look(looking, wanted)
    plan = Plan(provenance=wanted.provenance, hosts=tuple(one.plan for one in seen))
    refused = any(host.refusals for host in plan.hosts)
    code = REFUSED if refused else PENDING if detailed and plan.has_changes else OK
    return Outcome(plan_document(plan), code)


def meanings(seen: tuple[Seen, ...]) -> Mapping[str, HostPlan]:
    """Return the plans by host."""
    return {one.slice.host.name: one.plan for one in seen}
