"""Load ending: a model that is being brought in for requests, and that none waits for any more."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

import anyio

from reconciler.core import lending, turns
from reconciler.core.arrivals import load_seconds
from reconciler.core.recovery import Hints
from reconciler.errors import DurabilityError
from reconciler.loop.hints_cache import HintsCache
from reconciler.model.leasing import Released
from reconciler.model.lending import Rules
from reconciler.model.records import Lease
from reconciler.model.spec import Slice
from reconciler.ports import Clock, Lobby

AGAIN_SECONDS = 30.0


class LoadEnding:
    """Watches over the loads of one pass, and ends their leases."""

    def __init__(self, lobby: Lobby, cache: HintsCache, clock: Clock, since: float) -> None:
        """Take since when it is known who waits: what was lent before may have answered."""
        self._lobby, self._cache, self._clock, self._since = lobby, cache, clock, since
        self._began = clock.boot()
        self._unawaited = dict[str, float]()

    async def ended(self, slice_: Slice, rules: Rules) -> str:
        """Wait until a load is for nobody, and record that its lease ends; why."""
        while True:
            hints, now = await self._cache.hints(slice_.host.name), self._clock.instant()
            lent = lending.standing(slice_, rules, hints, now)
            ends = {
                name: self._end(name, hints, slice_, now.boot) for name in self._loads(slice_, lent)
            }
            due = sorted(name for name in ends if ends[name] <= now.boot)
            if due and await self._recorded(slice_.host.name, due):
                return f"no request waits for {' and '.join(due)} any more"
            wait = AGAIN_SECONDS if due else min(ends.values(), default=inf) - now.boot
            with anyio.move_on_after(wait):
                await self._lobby.changed()

    def _loads(self, slice_: Slice, lent: Mapping[str, Lease]) -> list[str]:
        """The models that only requests want here, and that have answered none since."""
        demands = self._lobby.demands()
        return [
            name
            for name, lease in lent.items()
            if lease.term is None
            and name not in (slice_.active or ())
            and (demand := demands.get(name)) is not None
            and demand.since is None
            and max(demand.used or 0.0, self._since) <= lease.since.boot
        ]

    def _end(self, name: str, hints: Hints, slice_: Slice, now: float) -> float:
        demand = self._lobby.demands()[name]
        if demand.waiting or demand.in_flight:
            self._unawaited.pop(name, None)
            return inf
        unawaited = self._unawaited.setdefault(name, now)
        return turns.load_end(self._began, load_seconds(slice_, hints, name), unawaited)

    async def _recorded(self, host: str, names: list[str]) -> bool:
        """Record that these leases end; False where nothing can be recorded now."""
        because = "no request waited for it any more, and its load was not nearly done"
        try:
            for name in names:
                released = Released(host=host, model=name, because=because)
                await self._cache.journal.append(released)
        except DurabilityError:
            return False
        return True
