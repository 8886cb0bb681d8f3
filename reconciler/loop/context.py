"""Context: what a pass over one host looks, acts, remembers and speaks through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from reconciler.core import observe_scope
from reconciler.core.live_tally import LiveTally
from reconciler.core.recovery import Hints
from reconciler.loop import stale_gates
from reconciler.loop.claim import HostClaim
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.observer import Observer
from reconciler.loop.ports_cache import PortsCache
from reconciler.model.controller import Controller
from reconciler.model.observed import Observed
from reconciler.model.spec import Slice
from reconciler.ports import Clock, Journal, Keep


@dataclass(frozen=True)
class HostContext:
    """What a pass over one host is given.

    `ports` makes those of the definitions that are aimed at; `say` is told what is going on, `keep`
    what was not foreseen.
    """

    ports: PortsCache
    cache: HintsCache
    clock: Clock
    controller: Controller
    interrupt: Interrupt
    say: Callable[[str], None]
    keep: Keep
    tally: LiveTally = field(default_factory=LiveTally)

    @property
    def journal(self) -> Journal:
        """The journal that everything is recorded in."""
        return self.cache.journal

    @property
    def claim(self) -> HostClaim:
        """What claims hosts for this controller."""
        return HostClaim(self.controller, self.cache, self.clock)

    async def hints(self, host: str) -> Hints:
        """What is remembered of a host now; raise JournalDamaged or DurabilityError."""
        return await self.cache.hints(host)

    async def look(self, slice_: Slice, hints: Hints) -> Observed:
        """What a plan for a slice reads of its host; gates that it shows to be stale are closed."""
        may_run = observe_scope.may_run(slice_, hints)
        observed = await self.observer(slice_).for_planning(may_run)
        self.tally.saw(slice_.host.name, observed)
        gate = self.ports(slice_).gate
        if gate is not None:
            await stale_gates.close(gate, slice_, observed)
        return observed

    def observer(self, slice_: Slice) -> Observer:
        """What looks at the host of a slice."""
        hints = partial(self.cache.hints, slice_.host.name)
        return Observer(self.ports(slice_), slice_, self.clock, hints)
