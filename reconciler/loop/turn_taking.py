"""Turn taking: which model of a host requests bring in next, while the host is at rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from math import inf
from typing import NamedTuple

import anyio

from reconciler.core import idleness, lending, policy, turns
from reconciler.core.canonical import digest
from reconciler.core.live_tally import LiveTally
from reconciler.core.recovery import Hints
from reconciler.core.turns import Seating, Turn
from reconciler.errors import DurabilityError
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pausing import Pausing
from reconciler.model.leasing import Leased, Released, Roused
from reconciler.model.lending import Demand, Rules
from reconciler.model.records import Instant, Lease
from reconciler.model.spec import Slice
from reconciler.ports import Clock, Lobby

GRACE_SHARE = 0.1
"""How long a model may pause between two requests before another takes its place, as a share of
what a switch takes."""

ROUSED = "its host rested and is being roused; `reconciler status` shows how far that is"

AGAIN_SECONDS = 30.0
SHORTEST_LOOK_SECONDS = 1.0
UNKNOWN_SWITCH_SECONDS = 10.0
SWITCH_STEPS = ("stop", "start", "await_healthy")


class _Seated(NamedTuple):
    """What the files say of a host, what is lent there, and whether it rests."""

    slice: Slice
    rules: Rules
    lent: Mapping[str, Lease]
    rests: bool

    @property
    def to_requests(self) -> frozenset[str]:
        """The models whose leases requests began and end."""
        return frozenset(self.lent) - lending.taken(self.lent).keys()


class TurnTaking:
    """The turns of one host. What is under way is never turned back: none is taken in a pass."""

    def __init__(
        self,
        lobby: Lobby,
        cache: HintsCache,
        clock: Clock,
        say: Callable[[str], None],
        tally: LiveTally,
    ) -> None:
        self._lobby, self._cache, self._clock, self._say = lobby, cache, clock, say
        self._pausing = Pausing(lobby, clock, tally)
        self._in_vain: Mapping[str, str] = {}
        self._rests = False

    async def tell(self, slice_: Slice, rules: Rules) -> None:
        """Tell requests what a person took a model for, before a pass brings it in."""
        hints = await self._cache.hints(slice_.host.name)
        lent = lending.standing(slice_, rules, hints, self._clock.instant())
        # A host that rests is looked at now and then, and stays as it is.
        self._told(_Seated(slice_, rules, lent, rests=self._rests and not lent))

    async def asked(self, host: str, interrupt: Interrupt) -> None:
        """Wait until a request waits for a model of a host that is on its way to rest; end that."""
        while not any(demand.waiting for demand in self._lobby.demands().values()):
            await self._lobby.changed()
        if (await self._cache.hints(host)).sent_down is not None:
            # What was told to go down goes down: it is woken sooner when that is waited for.
            return
        # The row first: whatever goes on from here must not go on to rest.
        because = "a request came before it rested"
        with suppress(DurabilityError):
            await self._cache.journal.append(Roused(host=host, because=because))
            interrupt.request(because, "supersede")

    def _told(self, seated: _Seated) -> Collection[str]:
        """Tell requests what they would wait for in vain, and return for which models."""
        refused = {**lending.kept_out(seated.slice, seated.lent), **self._in_vain}
        self._lobby.expect(lending.taken(seated.lent))
        models = [model.name for model in seated.slice.models]
        self._lobby.rest(models if seated.rests else ())
        self._lobby.refuse(refused)
        return refused.keys()

    async def taken(
        self, slice_: Slice, rules: Rules, stuck: str = "", *, sleeps: bool = False
    ) -> bool:
        """Wait until it is another model's turn, and record that, or until the host may rest.

        Whether it may. `stuck` is why what the file wants could not be brought about, empty where
        it was; a host that `sleeps` is woken by a turn.
        """
        while True:
            try:
                await self._cache.journal.check_room()
                self._lobby.report("")
                return await self._turned(slice_, rules, stuck, sleeps=sleeps)
            except DurabilityError as error:
                # What serves goes on; another model comes in when that can be recorded again.
                self._pausing.pause(())
                trouble = f"requests bring nothing in: {error.message}"
                self._lobby.report(trouble)
                self._say(f"{slice_.host.name}: {trouble}")
                await self._clock.sleep(AGAIN_SECONDS)
                await self._cache.write_on()

    async def _turned(self, slice_: Slice, rules: Rules, stuck: str, *, sleeps: bool) -> bool:
        while True:
            hints, now = await self._cache.hints(slice_.host.name), self._clock.instant()
            lent = lending.standing(slice_, rules, hints, now)
            self._in_vain = policy.not_lent(slice_, rules, hints, now)
            self._rests = sleeps or hints.idled is not None
            seated = _Seated(slice_, rules, lent, rests=self._rests)
            refused = self._told(seated)
            missing = self._missing(slice_) if stuck and not seated.rests else ()
            self._lobby.explain(dict.fromkeys(missing, stuck))
            found = self._decided(seated, hints, {*refused, *missing})
            self._pausing.pause(found.pause)
            if await self._recorded(found, seated):
                self._pausing.turned()
                return False
            await self._let_go(seated)
            rest = self._rest_seconds(seated, hints, now)
            if rest <= 0:
                # Nothing is under way: what comes now waits until the host is roused again.
                self._lobby.pause({model.name for model in slice_.models})
                return True
            with anyio.move_on_after(min(rest, _seconds(found.look), _return_look(seated))):
                await self._lobby.changed()

    async def _let_go(self, seated: _Seated) -> None:
        """End the leases that were there to rouse a host for what the file wants, which serves."""
        demands, host = self._lobby.demands(), seated.slice.host.name
        for name in sorted(seated.to_requests.intersection(seated.slice.active or ())):
            if name in demands and demands[name].since is not None:
                released = Released(host=host, model=name, because="it serves again")
                await self._cache.journal.append(released)

    def _rest_seconds(self, seated: _Seated, hints: Hints, now: Instant) -> float:
        """How long nobody must want any model from now on until the host comes to rest."""
        stays = policy.holding(hints, now) is not None or lending.taken(seated.lent)
        idle, may_rest = seated.rules.idle, idleness.may_rest(seated.slice, hints, now)
        if idle is None or seated.rests or stays or not may_rest:
            return inf
        # The end of the last request rings no bell; its host does not rest before that long after.
        return min(turns.rest_at(seated.rules, self._lobby.demands()) - now.boot, idle.after)

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
        seating = Seating(open_ | lent, wanted, lending.rivals(slice_), seated.rests)
        grace = GRACE_SHARE * _switch_seconds(slice_, hints)
        return turns.turn(seated.rules, seating, demands, grace, self._clock.boot())

    async def _recorded(self, found: Turn, seated: _Seated) -> bool:
        """Record a turn; False where nothing changes by it."""
        slice_, ends = seated.slice, _ends(found, seated)
        host, journal = slice_.host.name, self._cache.journal
        is_wanted = found.grant in (slice_.active or ())
        brings_in = found.grant is not None and (seated.rests or not is_wanted)
        # The lease first: of two rivals the newest counts, whatever dies in between.
        if found.grant is not None and brings_in:
            first = self._lobby.demands().get(found.grant, Demand()).request
            lease = Leased(host=host, model=found.grant, wanted=digest(slice_), request=first)
            await journal.append(lease)
            if seated.rests:
                self._lobby.explain({found.grant: ROUSED})
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
