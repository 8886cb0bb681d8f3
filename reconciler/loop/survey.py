"""Survey: what each host is like, what is remembered of it, and what would be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import starmap

import anyio

from reconciler.core import gate, lending, phrases, planner, policy
from reconciler.core.canonical import digest
from reconciler.core.ownership import Ownership
from reconciler.core.policy import Aim
from reconciler.core.recovery import Hints, after
from reconciler.errors import Unexpected
from reconciler.loop.hints_cache import HintsRead
from reconciler.loop.observer import Observer, remembered
from reconciler.loop.surveyor import Surveyor
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.lending import NOTHING_LENT, Rules
from reconciler.model.observed import Observed
from reconciler.model.records import Instant, Record, Row
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.ports import HostReaders
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
    rules: Rules = NOTHING_LENT

    @property
    def acts(self) -> bool:
        """Whether applying would do anything."""
        return bool(self.plan.steps) and not self.refusals

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why nothing may be done, not even instead of the wish."""
        # What keeps a wish away may still bring back last good, free the host, or lend it.
        return tuple(reason for reason in self.plan.refusals if reason != self.instead)

    @property
    def shown(self) -> HostPlan:
        """The plan as it is shown to a person who should approve it."""
        if not self.acts:
            return self.plan
        # What keeps a wish away refuses nothing of what will be done instead.
        notes = (*self.plan.notes, *self.plan.refusals)
        return self.plan.model_copy(update={"notes": notes, "refusals": ()})


async def survey(
    by: Surveyor,
    wanted: Wanted,
    noting: Iterable[Record] = (),
    *,
    prune: bool = False,
    take_over: bool = False,
) -> tuple[HostSurvey, ...]:
    """Observe and plan all hosts side by side, ordered by name, as if `noting` were recorded."""
    remembered = by.remembered()
    # Rows that cannot be read are the trouble of all hosts, those that cannot be folded of one.
    noted = _noted(await remembered.newest(), noting, by.clock.instant)
    found: dict[str, HostSurvey] = {}

    async def one(slice_: Slice) -> None:
        host = slice_.host.name
        known = _known(remembered, host, noted)
        rules = wanted.rules.get(host, NOTHING_LENT)
        seen = await _contained(by, slice_, known, rules, prune=prune, take_over=take_over)
        objection = wanted.provenance.objection
        found[host] = _refused(seen, objection) if objection else seen

    async with anyio.create_task_group() as group:
        for slice_ in wanted.slices.values():
            group.start_soon(one, slice_)
    return tuple(found[name] for name in sorted(found))


def _noted(newest: int, noting: Iterable[Record], now: Callable[[], Instant]) -> tuple[Row, ...]:
    """The rows that a few more records would be."""
    return tuple(
        Row(seq=number, when=now(), record=record)
        for number, record in enumerate(noting, start=newest + 1)
    )


async def _known(remembered: HintsRead, host: str, noted: Sequence[Row]) -> Hints:
    """What is known of a host, as if more rows were there."""
    hints = await remembered.hints(host)
    more = reduce(after, (row for row in noted if row.record.host == host), hints)
    return replace(more, newest_at=noted[-1].at) if noted else more


async def _contained(
    by: Surveyor,
    slice_: Slice,
    known: Awaitable[Hints],
    rules: Rules,
    *,
    prune: bool,
    take_over: bool,
) -> HostSurvey:
    try:
        # The fold too: a row that cannot be folded is the trouble of its host (ADR 0015).
        with unforeseen(by.keep):
            return await _of_host(by, slice_, await known, rules, prune=prune, take_over=take_over)
    except Unexpected as error:
        return broken(slice_, error)


async def _of_host(
    by: Surveyor, slice_: Slice, known: Hints, rules: Rules, *, prune: bool, take_over: bool
) -> HostSurvey:
    now = by.clock.instant
    readers = by.readers(slice_)
    if readers.gate is None:
        # Whoever acts here would end what requests began.
        rules = rules.without_requests
    observed = await _everything(by, readers, slice_, known)
    hints = lending.as_recorded(slice_, rules, known, now())
    hints = replace(hints, held=policy.holding(known, now()))
    aim = policy.aim(slice_, hints, observed, now(), rules=rules)
    there, back = observed, aim.target.slice
    if back != slice_:
        # What is gone back to has its own definitions: its weights, its programs, and what it
        # keeps.
        there = await _everything(by, by.readers(back), back, known)
    ours = Ownership.known(by.controller, hints, now())
    plan = planned(aim, there, hints, ours, prune=prune, take_over=take_over)
    return HostSurvey(slice_, observed, hints, plan, aim.instead, rules)


async def _everything(by: Surveyor, readers: HostReaders, slice_: Slice, known: Hints) -> Observed:
    observer = Observer(readers, slice_, by.clock, remembered(known))
    return await observer.everything()


def planned(
    aim: Aim, observed: Observed, hints: Hints, ours: Ownership, *, prune: bool, take_over: bool
) -> HostPlan:
    """The plan of a host on its way to where it aims, with every reason why it must not run."""
    plan = planner.plan(aim.target, observed, hints, mode=aim.mode, prune=prune)
    reasons = gate.refusals(plan, observed, ours, take_over=take_over)
    because = (aim.refusal,) if aim.refusal else ()
    notes = (*starmap(phrases.lent, aim.lent.items()), *plan.notes)
    told = {"refusals": (*because, *reasons), "cause": aim.cause, "notes": notes, "lent": aim.lent}
    return plan.model_copy(update=told)


def broken(slice_: Slice, error: Unexpected) -> HostSurvey:
    """What is left of a host of which nothing could be worked out: the reason."""
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
    refusals = (reason, *seen.plan.refusals)
    return replace(seen, plan=seen.plan.model_copy(update={"refusals": refusals}))
