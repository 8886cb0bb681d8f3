"""Turns: whose the place is that several models want, and when it goes to the next one.

While others wait, a model keeps its place for a least time, or until nobody has used it for a
moment. Then its new requests wait, what is in flight ends by itself, and the next model comes in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from reconciler.model.lending import Demand, Rules

NOTHING = Demand()

NEARLY_DONE = 0.75
"""From which share of its usual time on a load is brought to its end, also for nobody."""

PATIENCE_SECONDS = 2.0
"""Clients that were cut off ask again within moments."""


class Seating(NamedTuple):
    """Which models a host aims at now, and which of them the file wants; the others are lent.

    `rivals` are the models that cannot run beside a model, and it not beside them. While the host
    `rests`, also what the file wants comes in by a turn.
    """

    serving: Collection[str]
    wanted: Collection[str]
    rivals: Mapping[str, frozenset[str]]
    rests: bool = False


class Turn(NamedTuple):
    """What is to be done now.

    New requests of the models in `pause` wait, and what they have in flight goes on. `grant` is to
    be brought in, in place of its rivals. `release` is lent, and nobody has used it for long. In
    `look` seconds the decision may be another one, unless what requests want changes before; None
    when time alone changes nothing.
    """

    pause: frozenset[str] = frozenset()
    grant: str | None = None
    release: str | None = None
    look: float | None = None


class _Claim(NamedTuple):
    """A model that requests wait for, and those that would make way for it."""

    model: str
    holders: frozenset[str]


def turn(
    rules: Rules, seating: Seating, demands: Mapping[str, Demand], grace: float, now: float
) -> Turn:
    """Whose turn it is on a host that is at rest.

    `grace` is for how long nobody has to have used a model that gives its place up before its time.
    """
    claims = _claims(rules, seating, demands)
    tenure = _Tenure(rules, grace, demands)
    ends = {claim: tenure.end(claim.holders) for claim in _foremost(claims)}
    granted = [claim for claim, end in ends.items() if end <= now and tenure.is_free(claim)][:1]
    over = [claim for claim in ends if tenure.residency_end(claim.holders) <= now]
    returns = {model: tenure.return_at(model) for model in _uncontested(seating, claims)}
    due = [model for model in returns if returns[model] <= now]
    return Turn(
        pause=_holders([*granted, *over]),
        grant=granted[0].model if granted else None,
        release=min(due, key=lambda model: (returns[model], model), default=None),
        look=_soonest([*ends.values(), *returns.values()], now),
    )


def _claims(rules: Rules, seating: Seating, demands: Mapping[str, Demand]) -> list[_Claim]:
    """Who waits for a place, the one that has waited longest first."""
    served = frozenset(seating.serving)
    waiting = [
        model
        for model in {*seating.wanted, *rules.allow} - served
        if demands.get(model, NOTHING).waiting
    ]
    waiting.sort(key=lambda model: (_waits_since(demands[model]), model))
    claims = [_Claim(model, seating.rivals.get(model, frozenset()) & served) for model in waiting]
    if seating.rests:
        return claims
    # What the file wants and nothing displaces comes in without a turn.
    return [claim for claim in claims if claim.holders or claim.model not in seating.wanted]


def rest_at(rules: Rules, demands: Mapping[str, Demand], wanted: float) -> float:
    """When a host comes to rest; infinite while anybody wants a model of it.

    `wanted` is when anybody was last seen to want one, or the host to rest.
    """
    found = demands.values()
    if rules.idle is None or any(one.in_flight or one.waiting for one in found):
        return inf
    # Also where requests can reach nothing: what is on, or runs, for nobody may rest.
    return max(wanted, *(_latest(one.used, one.since) for one in found)) + rules.idle.after


def _waits_since(demand: Demand) -> float:
    """Since when it is owed a turn.

    Requests that its last turn left over, because the model takes only so many at once, count from
    the end of that turn: two models with long queues would otherwise keep a third one out.
    """
    return _latest(demand.oldest, demand.used)


def _latest(*moments: float | None) -> float:
    return max((moment for moment in moments if moment is not None), default=-inf)


def _foremost(claims: Iterable[_Claim]) -> Iterator[_Claim]:
    """The claims to places that no older one is laid to."""
    claimed: set[str] = set()
    for claim in claims:
        if claimed.isdisjoint(claim.holders):
            yield claim
        claimed |= claim.holders


def _holders(claims: Iterable[_Claim]) -> frozenset[str]:
    return frozenset().union(*(claim.holders for claim in claims))


def _uncontested(seating: Seating, claims: Iterable[_Claim]) -> frozenset[str]:
    """The lent models whose places nobody waits for."""
    return frozenset(seating.serving) - frozenset(seating.wanted) - _holders(claims)


def _soonest(moments: Iterable[float], now: float) -> float | None:
    return min((moment - now for moment in moments if now < moment < inf), default=None)


@dataclass(frozen=True)
class _Tenure:
    """Until when models keep their places.

    A model that requests cannot reach, on a host at rest, is not on its way either: it keeps
    nothing.
    """

    rules: Rules
    grace: float
    demands: Mapping[str, Demand]

    def end(self, holders: Iterable[str]) -> float:
        """When they make way: after their time, or as soon as nobody has used them for a moment."""
        found = [self._of(holder) for holder in holders]
        unused = _latest(*(_unused_since(demand) + self.grace for demand in found))
        return min(self.residency_end(holders), unused)

    def residency_end(self, holders: Iterable[str]) -> float:
        """When the time is over that each of them is granted at least."""
        since = _latest(*(self._of(holder).since for holder in holders))
        return since + self.rules.min_residency

    def is_free(self, claim: _Claim) -> bool:
        """Whether nobody would be cut if it came in now."""
        return not any(self._of(holder).in_flight for holder in claim.holders)

    def return_at(self, model: str) -> float:
        """When what the file wants takes a lent model's place again."""
        demand, after = self._of(model), self.rules.return_after
        if after is None or demand.in_flight or demand.waiting:
            return inf
        return _latest(demand.used, demand.since) + after

    def _of(self, model: str) -> Demand:
        return self.demands.get(model, NOTHING)


def _unused_since(demand: Demand) -> float:
    """Since when nobody uses it; infinite while somebody does."""
    if demand.in_flight or (demand.waiting and demand.since is not None):
        return inf
    return _latest(demand.used, demand.since)


def load_end(began: float, usual: float | None, unawaited: float | None) -> float:
    """When a load ends unfinished, for which nobody has waited since a moment; infinite for never.

    None: somebody waits. It is brought to its end where it would be nearly done by then, as far as
    it is known how long it usually takes.
    """
    if unawaited is None:
        return inf
    gives_up = unawaited + PATIENCE_SECONDS
    is_nearly_done = usual is not None and gives_up >= began + NEARLY_DONE * usual
    return inf if is_nearly_done else gives_up
