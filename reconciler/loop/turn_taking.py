"""Turn taking: which model of a host requests bring in next, while the host is at rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import inf
from typing import NamedTuple

import anyio

from reconciler.core import lending, policy
from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints
from reconciler.core.turns import Seating, Turn, turn
from reconciler.errors import DurabilityError
from reconciler.loop.hints_cache import HintsCache
from reconciler.model.lending import Rules
from reconciler.model.records import Lease, Leased, Released
from reconciler.model.spec import Slice
from reconciler.ports import Clock, Lobby

GRACE_SHARE = 0.1
"""How long a model may pause between two requests before another takes its place, as a share of
what a switch takes."""

AGAIN_SECONDS = 30.0
SHORTEST_LOOK_SECONDS = 1.0
UNKNOWN_SWITCH_SECONDS = 10.0
SWITCH_STEPS = ("stop", "start", "await_healthy")


class _Seated(NamedTuple):
    """What the files say of a host, and what is lent there."""

    slice: Slice
    rules: Rules
    lent: Mapping[str, Lease]

    @property
    def to_requests(self) -> frozenset[str]:
        """The models whose leases requests began and end."""
        return frozenset(self.lent) - lending.taken(self.lent).keys()


class TurnTaking:
    """The turns of one host. What is under way is never turned back: none is taken in a pass."""

    def __init__(
        self, lobby: Lobby, cache: HintsCache, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self._lobby, self._cache, self._clock, self._say = lobby, cache, clock, say
        self._in_vain: Mapping[str, str] = {}

    async def tell(self, slice_: Slice, rules: Rules) -> None:
        """Tell requests what a person took a model for, before a pass brings it in."""
        hints = await self._cache.hints(slice_.host.name)
        self._told(slice_, lending.standing(slice_, rules, hints, self._clock.instant()))

    def _told(self, slice_: Slice, lent: Mapping[str, Lease]) -> Collection[str]:
        """Tell requests what they would wait for in vain, and return for which models."""
        refused = {**lending.kept_out(slice_, lent), **self._in_vain}
        self._lobby.expect(lending.taken(lent))
        self._lobby.refuse(refused)
        return refused.keys()

    async def taken(self, slice_: Slice, rules: Rules, stuck: str = "") -> None:
        """Wait until it is another model's turn, and record that.

        `stuck` is why what the file wants could not be brought about, empty where it was.
        """
        while True:
            self._lobby.report("")
            try:
                await self._turned(slice_, rules, stuck)
            except DurabilityError as error:
                # What serves goes on; another model comes in when that can be recorded again.
                self._lobby.pause(())
                trouble = f"requests bring nothing in: {error.message}"
                self._lobby.report(trouble)
                self._say(f"{slice_.host.name}: {trouble}")
                await self._clock.sleep(AGAIN_SECONDS)
            else:
                return

    async def _turned(self, slice_: Slice, rules: Rules, stuck: str) -> None:
        while True:
            hints, now = await self._cache.hints(slice_.host.name), self._clock.instant()
            lent = lending.standing(slice_, rules, hints, now)
            self._in_vain = policy.not_lent(slice_, rules, hints, now)
            refused = self._told(slice_, lent)
            missing = self._missing(slice_) if stuck else ()
            self._lobby.explain(dict.fromkeys(missing, stuck))
            seated = _Seated(slice_, rules, lent)
            found = self._decided(seated, hints, {*refused, *missing})
            self._lobby.pause(found.pause)
            if await self._recorded(found, seated):
                return
            with anyio.move_on_after(min(_seconds(found.look), _return_look(seated))):
                await self._lobby.changed()

    def _missing(self, slice_: Slice) -> tuple[str, ...]:
        """What the file wants and requests cannot reach: no turn would bring it in."""
        demands = self._lobby.demands()
        return tuple(
            name for name in slice_.active or () if name in demands and demands[name].since is None
        )

    def _decided(self, seated: _Seated, hints: Hints, idle: Collection[str]) -> Turn:
        slice_, lent = seated.slice, frozenset(seated.lent)
        demands = {name: one for name, one in self._lobby.demands().items() if name not in idle}
        open_ = {name for name, one in demands.items() if one.since is not None}
        # What serves by another reason is not theirs to end: a person took it, or it is last good
        # after a failure.
        wanted = {*(slice_.active or ())} | ((open_ | lent) - seated.to_requests)
        seating = Seating(open_ | lent, wanted, lending.rivals(slice_))
        grace = GRACE_SHARE * _switch_seconds(slice_, hints)
        return turn(seated.rules, seating, demands, grace, self._clock.boot())

    async def _recorded(self, found: Turn, seated: _Seated) -> bool:
        """Record a turn; False where nothing changes by it."""
        slice_, ends = seated.slice, _ends(found, seated)
        host, journal = slice_.host.name, self._cache.journal
        brings_in = found.grant is not None and found.grant not in (slice_.active or ())
        # The lease first: of two rivals the newest counts, whatever dies in between.
        if found.grant is not None and brings_in:
            lease = Leased(host=host, model=found.grant, wanted=digest(slice_))
            await journal.append(lease)
        for name, why in ends.items():
            await journal.append(Released(host=host, model=name, because=why))
        return brings_in or bool(ends)


def _seconds(limit: float | None) -> float:
    return inf if limit is None else limit


def _return_look(seated: _Seated) -> float:
    """How long a lent model may go unseen: the end of its last request rings no bell."""
    if not seated.to_requests:
        return inf
    return max(SHORTEST_LOOK_SECONDS, _seconds(seated.rules.return_after))


def _ends(found: Turn, seated: _Seated) -> Mapping[str, str]:
    """The leases that end by a turn, each with the reason."""
    if found.release is not None:
        return {found.release: f"no request asked for it for {seated.rules.return_after:g} s"}
    if found.grant is None:
        return {}
    rivals = lending.rivals(seated.slice).get(found.grant, frozenset())
    ends = rivals & seated.to_requests
    return dict.fromkeys(ends, f"requests for {found.grant} have their turn")


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
