"""The host of a simulated day, as a watch with a gateway keeps it: passes, runs, turns and rests.

What is decided is decided by the core; here stands only what the loop does with it (loop/host_loop,
loop/reconcile, loop/turn_taking, loop/load_ending, loop/resting), in simulated time.
"""

from __future__ import annotations

from math import inf
from random import Random

from reconciler.core import idleness, lending, policy, seating
from reconciler.core.backoff import next_delay
from reconciler.core.canonical import digest
from reconciler.core.policy import Aim
from reconciler.core.seating import Seated
from reconciler.loop.host_loop import RESYNC_SECONDS, UNSETTLED
from reconciler.loop.turn_taking import AGAIN_SECONDS, SHORTEST_LOOK_SECONDS
from reconciler.model.facts import Contact, Fact, Known, Unknown
from reconciler.model.leasing import Idled, Leased, Released, Roused
from reconciler.model.observed import CONTACT, POWER, Observed
from reconciler.model.power import Power
from reconciler.model.records import Hold
from tests.clocks import instant
from tests.day_clients import Crowd, Moments
from tests.day_runs import DayRuns, Ran, Speeds, Wait, Wish
from tests.sample_worlds import HOST, unit, world

MOST_PASSES = 20
"""At one moment."""


class DayHost(DayRuns):
    """One host; its `keeper` says until when it waits, and is resumed then, or when stirred."""

    def __init__(
        self, wish: Wish, speeds: Speeds, crowd: Crowd, moments: Moments, random: Random
    ) -> None:
        super().__init__(wish, speeds, crowd, moments, random)
        self.is_looked_for, self.idles, self.is_at_rest = False, False, True
        self.stuck, self.unsettled = "", 0
        self.in_vain = dict[str, str]()
        self.wanted_at, self.tried_at = moments.now, -inf
        self._seen: dict[object, Observed] = {}
        self.keeper = self._kept()

    @property
    def sleeps(self) -> bool:
        return self.wish.rules.sleeps and self.power != "on"

    def look(self) -> None:
        """Ask for a pass."""
        self.is_looked_for = True

    def want(self, wish: Wish) -> None:
        """Take what the files say from now on."""
        if digest(wish.slice) != digest(self.wish.slice):
            self.interrupted = "the files ask for something else now"
        self.wish = wish
        self.look()

    # Between passes.

    def _kept(self) -> Wait:
        began, passes = self.moments.now, 0
        while True:
            passes = passes + 1 if began == self.moments.now else 0
            began = self.moments.now
            assert passes < MOST_PASSES, "busy without end"
            self.is_looked_for, self.interrupted = False, ""
            yield from self._pass()
            if not self.interrupted:
                yield from self._rest()

    @property
    def again_seconds(self) -> float:
        """How long after its last pass what did not come up is tried again, 0 where all did."""
        return next_delay(UNSETTLED, self.unsettled, 0.0) if self.unsettled else 0.0

    def _rest(self) -> Wait:
        resync = self.again_seconds or RESYNC_SECONDS
        due = policy.next_look(self.hints, instant(self.began))
        until = min(self.moments.now + resync, inf if due is None else self.began + due)
        while not self.is_looked_for and self.moments.now < until:
            self.crowd.lobby.rung = False
            look = self._turned()
            if look is None:
                return
            look = min(until, self.moments.now + look)
            while not self._is_stirred() and self.moments.now < look:
                yield look
            if self.crowd.lobby.rung:
                self.wanted_at = self.moments.now

    def _is_stirred(self) -> bool:
        return self.is_looked_for or self.crowd.lobby.rung

    def _turned(self) -> float | None:
        """Take a turn, or say when to look again."""
        self.in_vain = policy.not_lent(self.wish.slice, self.wish.rules, self.hints, self.now)
        self.rests = self.sleeps or self.hints.idled is not None
        if self.rests:
            self.wanted_at = self.moments.now
        seated, lobby = self.lent(), self.crowd.lobby
        refused = self.tell(seated)
        demands = lobby.demands()
        missing = seating.missing(seated.slice, demands) if self.stuck and not self.rests else ()
        idle = {*refused, *missing}
        found = seating.decided(seated, self.hints, demands, idle, self.moments.now)
        lobby.pause(found.pause)
        ends = seating.ends(found, seated)
        is_lent = seating.brings_in(found, seated)
        if found.grant is not None and is_lent:
            self.grants(found.grant, seated)
            wanted = digest(seated.slice)
            self.write(Leased(host=HOST, model=found.grant, wanted=wanted))
        for name, why in ends.items():
            self.write(Released(host=HOST, model=name, because=why))
        if is_lent or ends:
            return None
        for name in seating.serves_again(seated, demands):
            self.write(Released(host=HOST, model=name, because="it serves again"))
        rest = seating.rest_seconds(seated, self.hints, demands, self.now, self.wanted_at)
        rest = max(rest, self.tried_at + AGAIN_SECONDS - self.moments.now)
        if rest <= 0:
            self.tried_at = self.moments.now
            lobby.pause({one.name for one in seated.slice.models})
            self.idles = True
            return None
        back = seated.rules.return_after
        unheard = max(SHORTEST_LOOK_SECONDS, inf if back is None else back)
        return min(
            rest,
            inf if found.look is None else found.look,
            unheard if seated.to_requests else inf,
        )

    def grants(self, model_name: str, seated: Seated) -> None:
        """Be told that it is a model's turn."""

    def tell(self, seated: Seated) -> set[str]:
        """Tell requests what they would wait for in vain."""
        lobby = self.crowd.lobby
        refused = {**lending.kept_out(seated.slice, seated.lent), **self.in_vain}
        lobby.expect(lending.taken(seated.lent))
        lobby.rest([one.name for one in seated.slice.models] if seated.rests else ())
        lobby.displace(lending.displaced(seated.slice, seated.lent))
        lobby.refuse(refused)
        return set(refused)

    # A pass.

    def _pass(self) -> Wait:
        idles, self.idles = self.idles, False
        seated = self.lent()
        self.tell(seated._replace(rests=self.rests and not seated.lent))
        self.is_at_rest, self.began, self.unawaited = False, self.moments.now, {}
        end = yield from self._reconciled(idles=idles)
        self.is_at_rest = True
        if end != "interrupted":
            is_settled = end in {"in_sync", "completed"}
            self.stuck = "" if is_settled else end
            is_told = end == "failed" and self.hints.quarantine is not None
            self.unsettled = 0 if is_settled or is_told else self.unsettled + 1

    def _reconciled(self, *, idles: bool) -> Ran:
        slice_, rules = self.wish.slice, self.wish.rules
        for name, why in lending.lapsed(slice_, rules, self.hints, self.now).items():
            self.write(Released(host=HOST, model=name, because=why))
        aim, hints, seen = self._aim(), self.hints, self.seen()
        if idles and self._begins_to_rest(aim):
            aim = self._aim()
        if not aim.acts:
            return "refused"
        end = yield from self.attempt(aim, idles=aim.mode == "idle")
        if end in {"in_sync", "completed", "interrupted"}:
            return "refused" if aim.mode == "heal" and end == "in_sync" else end
        if aim.mode == "lease":
            names = lending.newcomers(aim.brought, seen, hints, HOST)
            if not names:
                return "failed"
            for name in names:
                failed = lending.lent_alone(slice_, name)
                self.write(Released(host=HOST, model=name, because="it died", failed=failed))
            return (yield from self._reconciled(idles=False))
        if aim.mode == "idle":
            self.write(Roused(host=HOST, because="ann is logged in", failed=digest(slice_)))
            return (yield from self._reconciled(idles=False))
        if aim.mode == "forward" and end == "failed":
            stayed = tuple(one for one in slice_.active or () if one in self.units)
            back = policy.back(slice_, self.hints, stayed)
            self.interrupted = ""
            yield from self.attempt(back, idles=False)
        return "failed"

    def _aim(self) -> Aim:
        slice_, rules, seen = self.wish.slice, self.wish.rules, self.seen()
        aim = policy.aim(slice_, self.hints, seen, self.now, rules=rules, retries=True)
        roused = idleness.roused(slice_, rules, self.hints, seen, aim.lent)
        if roused and not isinstance(aim.cause, Hold):
            self.write(Roused(host=HOST, because=roused))
        return aim

    def seen(self) -> Observed:
        """What is seen of the host."""
        now = (id(self.wish), frozenset(self.units), self.power, self.boot)
        if now not in self._seen:
            self._seen[now] = self._looked()
        return self._seen[now]

    def _looked(self) -> Observed:
        running = {name: unit(name) for name in self.units}
        there = world(self.wish.slice, running)
        contact = there.value(CONTACT(HOST))
        assert isinstance(contact, Contact)
        told: Fact[Contact] = Unknown("it does not answer")
        if self.power == "on":
            told = Known(contact.model_copy(update={"boot_id": f"boot-{self.boot}"}))
        return there.seeing({POWER(HOST): Known(Power(state=self.power)), CONTACT(HOST): told})

    def _begins_to_rest(self, aim: Aim) -> bool:
        idle = self.wish.rules.idle
        is_kept = isinstance(aim.cause, Hold) or policy.is_of_power(aim.cause)
        if idle is None or self.power != "on" or is_kept or lending.taken(aim.lent):
            return False
        for name in self.hints.leases:
            self.write(Released(host=HOST, model=name, because="no request asked"))
        wanted, boot = digest(self.wish.slice), f"boot-{self.boot}"
        self.write(Idled(host=HOST, then=idle.then, wanted=wanted, boot_id=boot))
        return True
