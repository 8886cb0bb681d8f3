"""Survey: what each host is like, what is remembered of it, and what would be done.

Nothing is touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import anyio

from reconciler.core import gate, planner, policy
from reconciler.core.canonical import digest
from reconciler.core.ownership import Ownership
from reconciler.core.policy import Aim
from reconciler.core.recovery import Hints, of_host
from reconciler.errors import Unexpected
from reconciler.loop.observer import Observer, remembered
from reconciler.loop.surveyor import Surveyor
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.observed import Observed
from reconciler.model.records import Record, Row
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.steps.plan import HostPlan


@dataclass(frozen=True)
class HostSurvey:
    """What was found out about one host, and planned from it.

    `instead` is what keeps its wish away.
    """

    slice: Slice
    observed: Observed
    hints: Hints
    plan: HostPlan
    instead: str = ""

    @property
    def acts(self) -> bool:
        """Whether applying would do anything: what keeps a wish away may still bring back last good, or free the host."""
        return bool(self.plan.steps) and all(
            reason == self.instead for reason in self.plan.refusals
        )

    @property
    def shown(self) -> HostPlan:
        """The plan as one who is to approve it sees it: what keeps a wish away refuses nothing that will be done."""
        if not self.acts:
            return self.plan
        return self.plan.model_copy(
            update={"notes": (*self.plan.notes, *self.plan.refusals), "refusals": ()}
        )


async def survey(
    by: Surveyor,
    wanted: Wanted,
    noting: Iterable[Record] = (),
    *,
    prune: bool = False,
    take_over: bool = False,
) -> tuple[HostSurvey, ...]:
    """Observe and plan every host, side by side, in the order of their names, as if `noting` were recorded already."""
    rows = list(await by.journal.rows())
    for record in noting:
        rows.append(
            Row(seq=rows[-1].seq + 1 if rows else 1, when=by.clock.instant(), record=record)
        )
    found: dict[str, HostSurvey] = {}

    async def one(slice_: Slice) -> None:
        host = slice_.host.name
        try:
            with unforeseen(by.keep):
                seen = await _of_host(
                    by, slice_, of_host(rows, host), prune=prune, take_over=take_over
                )
        except Unexpected as error:
            seen = broken(slice_, error)
        objection = wanted.provenance.objection
        found[host] = _refused(seen, objection) if objection else seen

    async with anyio.create_task_group() as group:
        for slice_ in wanted.slices.values():
            group.start_soon(one, slice_)
    return tuple(found[name] for name in sorted(found))


async def _of_host(
    by: Surveyor, slice_: Slice, known: Hints, *, prune: bool, take_over: bool
) -> HostSurvey:
    now, memory = by.clock.instant, remembered(known)
    observed = await Observer(by.readers(slice_), slice_, by.clock, memory).everything()
    hints = replace(known, held=policy.holding(known, now()))
    aim = policy.aim(slice_, hints, observed, now())
    there, back = observed, aim.target.slice
    if back != slice_:
        # What is gone back to has its own definitions: its weights, its programs, and what it
        # keeps.
        there = await Observer(by.readers(back), back, by.clock, memory).everything()
    ours = Ownership.known(by.controller, hints, now())
    plan = planned(aim, there, hints, ours, prune=prune, take_over=take_over)
    return HostSurvey(slice_, observed, hints, plan, aim.instead)


def planned(
    aim: Aim, observed: Observed, hints: Hints, ours: Ownership, *, prune: bool, take_over: bool
) -> HostPlan:
    """Return the plan of a host that is to go where it aims, with every reason why it may not be carried out."""
    plan = planner.plan(aim.target, observed, hints, mode=aim.mode, prune=prune)
    reasons = gate.refusals(plan, observed, ours, take_over=take_over)
    because = (aim.reason,) if aim.reason else ()
    return plan.model_copy(update={"refusals": (*because, *reasons), "cause": aim.cause})


def broken(slice_: Slice, error: Unexpected) -> HostSurvey:
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
    return HostSurvey(slice_, Observed(), Hints(), plan)


def _refused(seen: HostSurvey, reason: str) -> HostSurvey:
    return replace(
        seen, plan=seen.plan.model_copy(update={"refusals": (reason, *seen.plan.refusals)})
    )
