"""Seating: what is lent on a host that nothing is done to, whose turn it is, and when it may rest.

Whoever takes turns (loop/turn_taking) records what is decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from typing import NamedTuple

from reconciler.core import idleness, lending, policy, turns
from reconciler.core.recovery import Hints
from reconciler.core.turns import Seating, Turn
from reconciler.model.lending import Demand, Rules
from reconciler.model.records import Instant, Lease
from reconciler.model.spec import Slice

GRACE_SHARE = 0.1
"""How long a model may pause between two requests before another takes its place, as a share of
what a switch takes."""

UNKNOWN_SWITCH_SECONDS = 10.0
SWITCH_STEPS = ("stop", "start", "await_healthy")


class Seated(NamedTuple):
    """What the files say of a host, what is lent there, and whether it rests."""

    slice: Slice
    rules: Rules
    lent: Mapping[str, Lease]
    rests: bool

    @property
    def to_requests(self) -> frozenset[str]:
        """The models whose leases requests began and end."""
        return frozenset(self.lent) - lending.taken(self.lent).keys()


def missing(slice_: Slice, demands: Mapping[str, Demand]) -> tuple[str, ...]:
    """What the file wants and requests cannot reach: no turn would bring it in."""
    wanted = (name for name in slice_.active or () if name in demands)
    return tuple(name for name in wanted if demands[name].since is None)


def decided(
    seated: Seated, hints: Hints, demands: Mapping[str, Demand], but: Collection[str], now: float
) -> Turn:
    """Whose turn it is; who waits for one of `but` in vain counts for nothing."""
    slice_, lent = seated.slice, frozenset(seated.lent)
    counted = {
        name: one for name, one in demands.items() if name not in but or one.since is not None
    }
    open_ = {name for name, one in counted.items() if one.since is not None}
    # What serves by another reason is not theirs to end: a person took it, or it is last good
    # after a failure.
    wanted = {*(slice_.active or ())} | ((open_ | lent) - seated.to_requests)
    seating = Seating(open_ | lent, wanted, lending.rivals(slice_), seated.rests)
    grace = GRACE_SHARE * _switch_seconds(slice_, hints)
    return turns.turn(seated.rules, seating, counted, grace, now)


def brings_in(found: Turn, seated: Seated) -> bool:
    """Whether a turn lends a model: what the file wants comes back by itself where it may."""
    return found.grant is not None and (
        seated.rests or found.grant not in (seated.slice.active or ())
    )


def ends(found: Turn, seated: Seated) -> Mapping[str, str]:
    """The leases that end by a turn, each with the reason."""
    if found.release is not None:
        return {found.release: f"no request asked for it for {seated.rules.return_after:g} s"}
    if found.grant is None:
        return {}
    rivals = lending.rivals(seated.slice).get(found.grant, frozenset())
    return dict.fromkeys(rivals & seated.to_requests, f"requests for {found.grant} have their turn")


def serves_again(seated: Seated, demands: Mapping[str, Demand]) -> list[str]:
    """The leases that were there to rouse a host for what the file wants, which serves."""
    lent = sorted(seated.to_requests.intersection(seated.slice.active or ()))
    return [name for name in lent if name in demands and demands[name].since is not None]


def rest_seconds(
    seated: Seated, hints: Hints, demands: Mapping[str, Demand], now: Instant, wanted: float
) -> float:
    """How long nobody must want any model from now on until the host comes to rest.

    `wanted` is when anybody was last seen to want one, or the host to rest.
    """
    idle, may_rest = seated.rules.idle, idleness.may_rest(seated.slice, hints, now)
    if idle is None or seated.rests or not may_rest or stays(seated.lent, hints, now):
        return inf
    # The end of the last request rings no bell; its host does not rest before that long after.
    return min(turns.rest_at(seated.rules, demands, wanted) - now.boot, idle.after)


def stays(lent: Mapping[str, Lease], hints: Hints, now: Instant) -> bool:
    """Whether something keeps a host from resting that only a person, or time, ends."""
    if policy.holding(hints, now) is not None or policy.is_of_power(hints.quarantine):
        return True
    return bool(lending.taken(lent))


def _switch_seconds(slice_: Slice, hints: Hints) -> float:
    """How long a switch to any model of a host typically took."""
    seen = [
        seconds
        for model in slice_.models
        for step in SWITCH_STEPS
        if (seconds := hints.typical_seconds(step, model.name)) is not None
    ]
    models = len({model.name for model in slice_.models})
    return sum(seen) / models if seen else UNKNOWN_SWITCH_SECONDS
