"""Host loop: keeps one host as the files say, pass after pass, and rests until it is stirred."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from reconciler.core import policy
from reconciler.core.backoff import Backoff, next_delay
from reconciler.core.canonical import digest
from reconciler.core.live_tally import LiveTally
from reconciler.core.recovery import Hints
from reconciler.core.retries import RETRY
from reconciler.errors import DurabilityError, ReconcilerError, Unexpected, WriteFailed
from reconciler.loop import lateness, unrecorded
from reconciler.loop.beside import beside
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.load_ending import LoadEnding
from reconciler.loop.metering import Metering
from reconciler.loop.observer import Observer, remembered
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.reconcile import reconcile
from reconciler.loop.turn_taking import TurnTaking
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.controller import Controller
from reconciler.model.facts import Unit, UnitIdentity
from reconciler.model.lending import Rules
from reconciler.model.names import Digest
from reconciler.model.observed import POWER, UNIT, Observed
from reconciler.model.records import Answered, Asked, Hold, Lease, Record, StepIntent
from reconciler.model.spec import Slice
from reconciler.model.target import Provenance
from reconciler.model.verdict import HostVerdict
from reconciler.ports import Access, Clock, Doors, HostPorts, Keep, Random

RESYNC_SECONDS = 120.0
"""How long a host is left alone that is as it should be."""

UNSETTLED = Backoff(initial=5.0, factor=2.0, longest=60.0, jitter=0.0)
"""How long one that is not."""

JITTER = 0.2
LOOK_BACK_SECONDS = 600.0
"""How long a repair counts when the next one is needed: units that keep dying are started ever more
rarely."""

READ_AGAIN_SECONDS = 3.0
"""How long the watch may take to read what the one who asks has read already."""

NOT_READ = (
    "the watch does not follow the files as they were when this was asked: its log says why; then"
    " ask again"
)
AT_REST = {"in_sync", "applied"}


@dataclass(frozen=True)
class HostLoopDeps:
    """What all host loops share.

    `say` is told what is going on; `read_again` has the files read once more.
    """

    ports: Callable[[Slice], HostPorts]
    cache: HintsCache
    clock: Clock
    random: Random
    controller: Controller
    say: Callable[[str], None]
    read_again: Callable[[], None]
    keep: Keep
    tally: LiveTally = field(default_factory=LiveTally)
    doors: Doors | None = None

    def context(self, ports: PortsCache, interrupt: Interrupt) -> HostContext:
        """What one pass is given."""
        return HostContext(
            ports,
            self.cache,
            self.clock,
            self.controller,
            interrupt,
            self.say,
            self.keep,
            self.tally,
        )


class HostLoop:
    """The keeper of one host. All that others may do is say what is wanted, and stir."""

    def __init__(
        self, deps: HostLoopDeps, slice_: Slice, provenance: Provenance, rules: Rules
    ) -> None:
        self._deps = deps
        self._slice, self._provenance, self._rules = slice_, provenance, rules
        self._lobby = lobby = deps.doors.lobby(slice_.host.name) if deps.doors else None
        self._turns = (
            TurnTaking(lobby, deps.cache, deps.clock, deps.say, deps.tally) if lobby else None
        )
        self._metering = Metering(deps.tally)
        self._host, self._ports = slice_.host.name, PortsCache(deps.ports)
        self._stirred, self._interrupt = anyio.Event(), Interrupt()
        self._urgent, self._began = True, deps.clock.boot()
        self._looked = deps.clock.instant()
        self.passed = anyio.Event()
        self._leaving = False
        self._reached = ""
        self._repairs: list[float] = []
        self._unsettled = 0
        self._doubted = False
        self._idles = False
        self._leases: Mapping[str, Lease] = {}
        self._stuck = ""
        self._said = ""

    def want(self, slice_: Slice, provenance: Provenance, rules: Rules) -> None:
        """Take what is wanted now; a wait for something else ends."""
        moved = digest(slice_) != digest(self._slice)
        lifted = provenance.objection != self._provenance.objection or rules != self._rules
        self._slice, self._provenance, self._rules = slice_, provenance, rules
        if moved:
            self._interrupt.request("the files ask for something else now", "supersede")
        if moved or lifted:
            self.look()

    def hear(self, records: Iterable[Record]) -> None:
        """Take what was recorded about this host: that a pass is asked for, or an urgent hold."""
        for record in records:
            if isinstance(record, Hold) and record.now:
                self._interrupt.request("the host is held", "supersede")
            if isinstance(record, Asked):
                self.look()

    def look(self) -> None:
        """Look at once."""
        self._urgent = True
        self._stirred.set()

    def leave(self) -> None:
        """End when the effect in flight has ended; an open run stays open."""
        self._leaving = True
        self._interrupt.request("leaving", "detach")
        self.look()

    def drop(self) -> None:
        """End when the effect in flight has ended: the host is not managed any more."""
        self._leaving = True
        self._interrupt.request("the files do not name the host any more", "supersede")
        self.look()

    async def run(self) -> None:
        """Keep the host until told to leave; raise DurabilityError."""
        while not self._leaving:
            self._stirred, self._interrupt, self._urgent = anyio.Event(), Interrupt(), False
            try:
                with unforeseen(self._deps.keep):
                    await self._pass()
                    self.passed.set()
                    if not self._interrupt.reason:
                        await self._rest()
            except Unexpected as error:
                await self._recover(error)
            except WriteFailed as error:
                # Nothing is done that is not recorded; what serves, requests may still reach.
                if self._lobby is None:
                    raise
                self._lobby.report(f"nothing can be switched: {error.message}")
                await self._recover(error)
                await self._deps.cache.write_on()

    async def _recover(self, error: ReconcilerError) -> None:
        """Tell what broke outside the pass itself, and leave the host alone for a while."""
        self._unsettled += 1
        self.passed.set()
        self._tell(HostVerdict(host=self._host, outcome="unknown", message=error.message))
        with anyio.move_on_after(next_delay(UNSETTLED, self._unsettled, 0.0)):
            await self._stirred.wait()

    async def _pass(self) -> None:
        self._looked = self._deps.clock.instant()
        waiting = (await self._hints()).asked
        number, asked = next(iter(waiting.items()), (0, None))
        is_read = asked is None or await self._is_read(asked.wanted)
        if self._leaving:
            return
        if not is_read:
            await self._answer(number, self._refused(NOT_READ))
            self.look()
            return
        slice_, provenance = self._slice, self._provenance
        # Without a gateway nothing would end what requests once brought in.
        rules = self._rules if self._turns else self._rules.without_requests
        idles, self._idles = self._idles, False
        request = replace(_request(slice_, provenance, asked), rules=rules, idles=idles)
        if self._turns is not None:
            await self._turns.tell(slice_, rules)
        turned = await self._lends_otherwise()
        context = self._deps.context(self._ports, self._interrupt)
        async with (
            beside(partial(self._end_loads, slice_, rules)),
            beside(partial(self._end_rest, idles=idles)),
            beside(self._note_lateness),
        ):
            verdict = await self._reconciled(request, context)
        if verdict.outcome == "interrupted":
            return
        if asked is not None:
            await self._answer(number, verdict)
        if len(waiting) > 1:
            self.look()
        self._tell(verdict)
        # That another model is lent, or a restart asked for, is no sign of trouble.
        turned = await self._lends_otherwise() or turned or request.trigger == "restart"
        if not turned and await self._has_repaired(verdict, digest(slice_)):
            self._repairs.append(self._deps.clock.boot())
        await self._remember(verdict, digest(slice_))

    async def _reconciled(self, request: PassRequest, context: HostContext) -> HostVerdict:
        try:
            return await reconcile(request, context)
        except WriteFailed:
            if self._lobby is not None:
                with suppress(DurabilityError):
                    await unrecorded.admitted(request.slice, context)
            raise

    async def _note_lateness(self) -> None:
        if self._lobby is not None:
            await lateness.noted(self._deps.tally)

    async def _end_loads(self, slice_: Slice, rules: Rules) -> None:
        """End what is being brought in once no request waits for it any more."""
        if self._lobby is not None:
            loads = LoadEnding(self._lobby, self._deps.cache, self._deps.clock, self._began)
            reason = await loads.ended(slice_, rules)
            self._deps.say(f"{self._host}: {reason}")
            self._interrupt.request(reason, "supersede")

    async def _end_rest(self, *, idles: bool) -> None:
        """End the way to rest once a request comes."""
        if idles and self._turns is not None:
            await self._turns.asked(self._host, self._interrupt)

    async def _answer(self, number: int, verdict: HostVerdict) -> None:
        answered = Answered(host=self._host, asked=number, verdict=verdict)
        await self._deps.cache.journal.append(answered)

    def _refused(self, reason: str) -> HostVerdict:
        return HostVerdict(
            host=self._host, outcome="refused", message="nothing was changed", reasons=(reason,)
        )

    async def _is_read(self, read: Digest | None) -> bool:
        """Whether what the one who asks has read is wanted here too, after a short wait for it."""
        if read in {None, digest(self._slice)}:
            return True
        self._deps.read_again()
        with anyio.move_on_after(READ_AGAIN_SECONDS):
            while read != digest(self._slice) and not self._leaving:
                self._stirred = anyio.Event()
                await self._stirred.wait()
        # What was wanted meanwhile is what this pass is about: only leaving still cuts it short.
        self._interrupt = Interrupt("leaving", "detach") if self._leaving else Interrupt()
        return read == digest(self._slice)

    async def _lends_otherwise(self) -> bool:
        """Whether something else is lent than when this was asked last."""
        before, self._leases = self._leases, (await self._hints()).leases
        return before != self._leases

    async def _has_repaired(self, verdict: HostVerdict, reached: str) -> bool:
        """Whether something had to be started on a host that was as it should be."""
        if not verdict.runs or self._reached != reached:
            return False
        rows = await self._deps.cache.journal.since(min(verdict.runs) - 1)
        records = [row.record for row in rows if row.record.host == self._host]
        return any(isinstance(one, StepIntent) and one.step == "start" for one in records)

    async def _remember(self, verdict: HostVerdict, reached: str) -> None:
        at_rest = verdict.outcome in AT_REST
        why = "; ".join(filter(None, (verdict.message, *verdict.reasons)))
        self._stuck = "" if at_rest else why
        self._reached = reached if at_rest else self._reached
        # A failed wish says when it is tried again; what failed beside a lent model says nothing.
        is_told = verdict.runs and (await self._hints()).quarantine is not None
        self._unsettled = 0 if at_rest or is_told else self._unsettled + 1

    def _tell(self, verdict: HostVerdict) -> None:
        parts = [verdict.word, verdict.message, *verdict.reasons, *verdict.notes]
        said = f"{self._host}: {'; '.join(filter(None, parts))}"
        if verdict.runs or said != self._said:
            self._deps.say(said)
        self._said = said

    async def _rest(self) -> None:
        """Wait until a pass is asked for, a unit ends, or it is time."""
        calm = self._calm_seconds()
        ports = self._ports(self._slice)
        observer = Observer(ports, self._slice, self._deps.clock, remembered(await self._hints()))
        world = await self._seen(observer)
        units = self._units(world)
        at_once = self._is_in_doubt(units)
        async with anyio.create_task_group() as group:
            for unit in units:
                group.start_soon(self._attend, ports.access, unit.identity)
            if self._turns is not None:
                group.start_soon(self._take_turns, self._turns, self._sleeps(world))
                group.start_soon(self._metering.read, observer, self._slice)
            with anyio.move_on_after(max(calm, 0.0 if at_once else await self._rest_seconds())):
                await self._stirred.wait()
                await self._calm_down(calm)
            group.cancel_scope.cancel()

    def _is_in_doubt(self, units: Collection[Unit]) -> bool:
        # What died between the pass and this look stirs nothing; what is not there for longer is as
        # it should be.
        self._doubted = len(units) < len(self._slice.active or ()) and not self._doubted
        return self._doubted

    async def _seen(self, observer: Observer) -> Observed:
        power = (POWER(self._host),) if self._rules.sleeps else ()
        units = (UNIT(self._host, name) for name in self._slice.active or ())
        world = await observer.look((*power, *units))
        self._deps.tally.saw(self._host, world)
        return world

    def _units(self, world: Observed) -> list[Unit]:
        keys = [UNIT(self._host, name) for name in self._slice.active or ()]
        return [unit for key in keys if (unit := world.value(key)) is not None]

    def _sleeps(self, world: Observed) -> bool:
        """Whether the host has to be woken for what is wanted of it."""
        return self._rules.sleeps and world.power(self._host) != "on"

    async def _calm_down(self, seconds: float) -> None:
        """Leave units that keep ending alone for a while, unless a pass is asked for."""
        while not self._urgent and seconds > 0:
            self._stirred = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._stirred.wait()
            seconds = self._calm_seconds()

    async def _attend(self, access: Access, identity: UnitIdentity) -> None:
        async for _ in access.changes(identity):
            self._stirred.set()
        self._stirred.set()

    async def _take_turns(self, turns: TurnTaking, sleeps: bool) -> None:
        objection = self._provenance.objection
        taken = turns.taken(
            self._slice, self._rules, self._stuck, objection=objection, sleeps=sleeps
        )
        self._idles = await taken
        self.look()

    async def _rest_seconds(self) -> float:
        resync = next_delay(UNSETTLED, self._unsettled, 0.0) if self._unsettled else RESYNC_SECONDS
        jitter = JITTER * (2 * self._deps.random.fraction() - 1)
        spread = resync * (1 + jitter)
        # What came while the last pass was under way is due, too.
        due = policy.next_look(await self._hints(), self._looked)
        passed = self._deps.clock.boot() - self._looked.boot
        return spread if due is None else min(spread, max(0.0, due - passed))

    def _calm_seconds(self) -> float:
        """How long repairs must still wait."""
        now = self._deps.clock.boot()
        self._repairs = [at for at in self._repairs if now - at < LOOK_BACK_SECONDS]
        again = len(self._repairs) - 1
        if again < 1:
            return 0.0
        return max(0.0, self._repairs[-1] + next_delay(RETRY, again, 0.0) - now)

    async def _hints(self) -> Hints:
        return await self._deps.cache.hints(self._host)


def _request(slice_: Slice, provenance: Provenance, asked: Asked | None) -> PassRequest:
    if asked is None:
        return PassRequest(slice_, provenance, "watch", retries=True)
    return PassRequest(
        slice_,
        provenance,
        asked.trigger,
        asked.approved,
        prune=asked.prune,
        take_over=asked.take_over,
        retries=True,
    )
