"""Turn taking: which model of a host requests bring in next, while the host is at rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from math import inf

import anyio

from reconciler.core import lending, policy, seating
from reconciler.core.arrivals import arrivals
from reconciler.core.canonical import digest
from reconciler.core.live_tally import LiveTally
from reconciler.core.outlook import outlooks
from reconciler.core.seating import Seated
from reconciler.core.turns import Turn
from reconciler.errors import DurabilityError
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pausing import Pausing
from reconciler.model.leasing import Leased, Released, Roused
from reconciler.model.lending import Demand, Rules
from reconciler.model.spec import Slice
from reconciler.ports import Clock, Lobby

ROUSED = "its host rested and is being roused; `reconciler status` shows how far that is"

AGAIN_SECONDS = 30.0
SHORTEST_LOOK_SECONDS = 1.0


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
        self._wanted = clock.boot()
        """When anybody was last seen to want a model, or the host to rest."""

        self._tried = -inf
        """When the host was last to come to rest."""

    async def tell(self, slice_: Slice, rules: Rules) -> None:
        """Tell requests what a person took a model for, before a pass brings it in."""
        hints = await self._cache.hints(slice_.host.name)
        lent = lending.standing(slice_, rules, hints, self._clock.instant())
        # A host that rests is looked at now and then, and stays as it is.
        self._told(Seated(slice_, rules, lent, rests=self._rests and not lent))

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

    def _told(self, seated: Seated) -> Collection[str]:
        """Tell requests what they would wait for in vain, and return for which models."""
        refused = self._refused(seated)
        self._lobby.expect(lending.taken(seated.lent))
        models = [model.name for model in seated.slice.models]
        self._lobby.rest(models if seated.rests else ())
        self._lobby.displace(lending.displaced(seated.slice, seated.lent))
        self._lobby.refuse(refused)
        return refused.keys()

    def _refused(self, seated: Seated) -> Mapping[str, str]:
        return {**lending.kept_out(seated.slice, seated.lent), **self._in_vain}

    async def taken(
        self,
        slice_: Slice,
        rules: Rules,
        stuck: str = "",
        *,
        objection: str = "",
        sleeps: bool = False,
    ) -> bool:
        """Wait until it is another model's turn, and record that, or until the host may rest.

        Whether it may. `stuck` is why what the file wants could not be brought about, empty where
        it was; a host that `sleeps` is woken by a turn. While there is an `objection` to what the
        files say no turn is taken, since no pass would carry it out.
        """
        while True:
            try:
                await self._cache.journal.check_room()
                self._lobby.report("")
                if objection:
                    await self._waits_in_vain(slice_, rules, objection)
                return await self._turned(slice_, rules, stuck, sleeps=sleeps)
            except DurabilityError as error:
                # What serves goes on; another model comes in when that can be recorded again.
                self._pausing.pause(())
                trouble = f"requests bring nothing in: {error.message}"
                self._lobby.report(trouble)
                self._say(f"{slice_.host.name}: {trouble}")
                await self._clock.sleep(AGAIN_SECONDS)
                await self._cache.write_on()

    async def _waits_in_vain(self, slice_: Slice, rules: Rules, objection: str) -> None:
        """Leave what is lent as it is, and tell who asks for something else, until cancelled."""
        hints, now = await self._cache.hints(slice_.host.name), self._clock.instant()
        self._in_vain = dict.fromkeys({*rules.allow, *(slice_.active or ())}, objection)
        lent = lending.standing(slice_, rules, hints, now)
        self._told(Seated(slice_, rules, lent, rests=self._rests))
        self._pausing.pause(())
        await anyio.sleep_forever()

    async def _turned(self, slice_: Slice, rules: Rules, stuck: str, *, sleeps: bool) -> bool:
        while True:
            hints, now = await self._cache.hints(slice_.host.name), self._clock.instant()
            lent = lending.standing(slice_, rules, hints, now)
            self._in_vain = policy.not_lent(slice_, rules, hints, now)
            self._rests = sleeps or hints.idled is not None
            if self._rests:
                self._wanted = now.boot
            seated = Seated(slice_, rules, lent, rests=self._rests)
            self._lobby.foresee(outlooks(slice_, hints, now, lent, self._refused(seated)))
            self._lobby.estimate(arrivals(slice_, hints, wakes=sleeps))
            refused = self._told(seated)
            demands = self._lobby.demands()
            missing = seating.missing(slice_, demands) if stuck and not seated.rests else ()
            self._lobby.explain(dict.fromkeys(missing, stuck))
            found = seating.decided(seated, hints, demands, {*refused, *missing}, now.boot)
            self._pausing.pause(found.pause)
            if await self._recorded(found, seated):
                self._pausing.turned()
                return False
            await self._let_go(seated)
            rest = seating.rest_seconds(seated, hints, self._lobby.demands(), now, self._wanted)
            # What keeps it from that is seen only in a pass, and may last.
            rest = max(rest, self._tried + AGAIN_SECONDS - now.boot)
            if rest <= 0:
                self._tried = now.boot
                # Nothing is under way: what comes now waits until the host is roused again.
                self._lobby.pause({model.name for model in slice_.models})
                return True
            wait = min(rest, _seconds(found.look), _return_look(seated))
            with anyio.move_on_after(wait) as waiting:
                await self._lobby.changed()
            if not waiting.cancelled_caught:
                self._wanted = self._clock.boot()

    async def _let_go(self, seated: Seated) -> None:
        """End the leases that were there to rouse a host for what the file wants, which serves."""
        for name in seating.serves_again(seated, self._lobby.demands()):
            released = Released(host=seated.slice.host.name, model=name, because="it serves again")
            await self._cache.journal.append(released)

    async def _recorded(self, found: Turn, seated: Seated) -> bool:
        """Record a turn; False where nothing changes by it."""
        slice_, ends = seated.slice, seating.ends(found, seated)
        host, journal = slice_.host.name, self._cache.journal
        brings_in = seating.brings_in(found, seated)
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


def _return_look(seated: Seated) -> float:
    """How long a lent model may go unseen: the end of its last request rings no bell."""
    if not seated.to_requests:
        return inf
    return max(SHORTEST_LOOK_SECONDS, _seconds(seated.rules.return_after))
