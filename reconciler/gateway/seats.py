"""Seats: for each model whether requests may reach it, and how many are under way there.

The only truth of the data path that changes, and only ever in the event loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence

import anyio

from reconciler.gateway.allowance import Allowance
from reconciler.gateway.candidates import best
from reconciler.gateway.counts import Counts
from reconciler.gateway.head import Refusal
from reconciler.gateway.keys import Requester
from reconciler.gateway.listing import ListedModel
from reconciler.gateway.lobby import SeatsLobby
from reconciler.gateway.seat import Seat
from reconciler.model.facts import Fact, Known, UnitIdentity
from reconciler.model.gateway import LARGEST_BODY
from reconciler.model.metrics import MetricFamily
from reconciler.model.traffic import Admitting, Route, Routes, Traffic
from reconciler.ports import EngineWay, Evidence

SPECIAL = {"", "active"}
"""Names that stand for whatever the file says should serve."""

UNREAD = "the files have not been read yet; the log of `serve` says where it is"
UNUSABLE = "the files cannot be used as they are: `reconciler validate` says why"
"""Whoever asks whether it is well needs no key, and is told nothing of what the files say."""

READING_SECONDS = 10.0
"""How long a request waits for files that are read when the gateway starts; files that cannot be
read are told sooner than known clients give up."""

ENDING = Refusal(503, "the gateway is being restarted; ask again")
MOST_HELD = 2000
CROWDED = Refusal(429, f"{MOST_HELD} requests wait here already, as many as may")
MOVED = "requests are taken at {} until `serve` is restarted: `listen` of inventory.yaml is {} now"
STIRS = 64
"""How many hosts may wait to be looked at; one that waits already is not added."""


def _gone(route: Route) -> Refusal:
    return Refusal(404, f"no file names {route.model} on {route.host} any more")


class SeatsGate:
    """The gate of one host, as a run reads it and acts on it."""

    def __init__(self, seats: Seats, host: str) -> None:
        self._seats, self._host = seats, host

    async def admitting(self, model_name: str) -> Fact[Admitting]:
        """Which unit the gate is open for."""
        seat = self._seats.of_model(model_name)
        return Known(Admitting(identity=seat.identity if seat else None))

    async def traffic(self, model_name: str) -> Fact[Traffic]:
        """What is under way."""
        seat = self._seats.of_model(model_name)
        return Known(seat.traffic if seat else Traffic())

    async def admit(self, model_name: str, identity: UnitIdentity, way: EngineWay) -> Evidence:
        """Open the gate for one unit. Repeatable."""
        seat = self._seats.of_model(model_name)
        if seat is not None:
            seat.admit(identity, way)
        return {"admitted": seat is not None}

    async def hold(self, model_name: str, because: str) -> Evidence:
        """Let no new request through. Repeatable."""
        seat = self._seats.of_model(model_name)
        if seat is not None:
            seat.close(because)
        return {"in_flight": seat.in_flight if seat else 0}

    async def hang_up(self, model_name: str) -> Evidence:
        """Close idle connections to the engine. Repeatable."""
        seat = self._seats.of_model(model_name)
        return {"closed": seat.hang_up() if seat else 0}


class Seats:
    """The seats of all models; what the loop opens and closes, and requests pass through."""

    def __init__(self, clock: Callable[[], float], began: float = 0.0) -> None:
        """Take what tells the boot clock in seconds, and when it began by the wall clock."""
        self._clock, self.began = clock, began
        self.counts = Counts()
        self._seats: dict[str, Seat] = {}
        self._lobbies: dict[str, SeatsLobby] = {}
        self._main: str | None = None
        self._allowances = defaultdict[str, Allowance](Allowance)
        self.names = self.origins = frozenset[str]()
        self.largest = LARGEST_BODY
        self.note = ""
        """What who asks whether it is ready should know although it is."""

        self.listens: str | None = None
        """Where the files said that requests are taken, when it began; None where they did not."""

        self._is_routed, self._left = False, anyio.Event()
        start = Route(model="reconciler", host="reconciler", active=True, max_wait=READING_SECONDS)
        self.unread = Seat(start, clock, SeatsLobby())
        self.unread.close(UNREAD)
        self._stirred: set[str] = set()
        self._bell = anyio.Event()

    def route(self, routes: Routes) -> str:
        """Take which models there are; a seat that stays keeps what it knows.

        Say what counts only from the next start.
        """
        self._is_routed, self._main, self.note = True, routes.main, ""
        self.names, self.origins = frozenset(routes.names), frozenset(routes.origins)
        self.largest = routes.largest
        there = {(route.model, route.host) for route in routes.models}
        gone = [
            self._seats.pop(name)
            for name, seat in tuple(self._seats.items())
            if (name, seat.route.host) not in there
        ]
        for route in routes.models:
            self._take(route)
        for host, lobby in self._lobbies.items():
            lobby.seat(seat for seat in self._seats.values() if seat.route.host == host)
        # Only when all is known: who waits for whatever is active may go to another seat now.
        for seat in gone:
            seat.close("no file names it any more")
            seat.turn_away(_gone(seat.route))
            seat.disconnect()
        for seat in tuple(self._seats.values()):
            seat.judge()
        self.unread.turn_away(Refusal(503, self.unread.because))
        moved = self.listens not in {None, routes.listen}
        return MOVED.format(self.listens, routes.listen) if moved else ""

    def unusable(self) -> None:
        """Take that the files cannot be used as they are; what they said before counts on."""
        self.note = f"{UNUSABLE}; what they said before counts"
        self.unread.close(UNUSABLE)

    def _take(self, route: Route) -> None:
        if route.model in self._seats:
            self._seats[route.model].route = route
        else:
            self._seats[route.model] = Seat(route, self._clock, self.lobby(route.host))

    def lobby(self, host: str) -> SeatsLobby:
        """The requests of one host."""
        return self._lobbies.setdefault(host, SeatsLobby())

    def allowance(self, requester: Requester) -> Allowance:
        """The requests of a key."""
        return self._allowances[requester.name]

    def leave(self) -> None:
        """Tell all who wait, and who ask from now on, that this process ends."""
        self._left.set()
        for seat in (self.unread, *self._seats.values()):
            seat.turn_away(ENDING)

    async def left(self) -> None:
        """Wait until this process ends."""
        await self._left.wait()

    def disconnect(self) -> None:
        """Keep no connection to any engine from now on."""
        for seat in self._seats.values():
            seat.disconnect()

    def gate(self, host: str) -> SeatsGate:
        """The gate of one host."""
        return SeatsGate(self, host)

    def resting(self) -> list[Seat]:
        """The models that the file wants, and whose hosts rest."""
        return [seat for seat in self._seats.values() if seat.route.active and seat.rests]

    @property
    def brings_in(self) -> bool:
        """Whether requests may bring in any model."""
        return any(seat.route.lent for seat in self._seats.values())

    def listed(self) -> tuple[ListedModel, ...]:
        """Every model that may be named, by name."""
        return tuple(self._seats[name].listed for name in sorted(self._seats))

    def readiness(self) -> Refusal | None:
        """Why this gateway cannot do all that it is for; None where it can.

        A host that is off because that is wanted needs no more than to have been looked at.
        """
        if self._left.is_set():
            return ENDING
        if not self._is_routed:
            return Refusal(503, self.unread.because)
        hosts = sorted({seat.route.host for seat in self._seats.values()})
        troubles = ((host, self.lobby(host).trouble) for host in hosts)
        told = "; ".join(f"{host}: {trouble}" for host, trouble in troubles if trouble)
        return Refusal(503, told) if told else None

    def metrics(self) -> tuple[MetricFamily, ...]:
        """What became of requests, and what is under way."""
        demands = {name: seat.demand for name, seat in self._seats.items()}
        return tuple(self.counts.families(demands))

    def of_model(self, model_name: str) -> Seat | None:
        """The seat of a model, None where no file names it."""
        return self._seats.get(model_name)

    def sought(self, name: str, requester: Requester, but: Sequence[Seat] = ()) -> Seat | Refusal:
        """The seat for a name that a request gives, or why there is none.

        Before the files are read, all wait in one that never opens. Of models that share the name
        it is the best one for this requester `but` for some.
        """
        if self._left.is_set():
            return ENDING
        if not self._is_routed:
            return self.unread
        if name in SPECIAL and self._main is None:
            said = "the request names no model, and the files do not make clear which is meant"
            return Refusal(400, f"{said}; expected one of: {self._names()}")
        named = self._main or "" if name in SPECIAL else name
        seat = self._seats.get(named) or self._pooled(name, requester, but)
        if seat is None:
            return Refusal(404, f'no model is called "{name}"; expected one of: {self._names()}')
        if not requester.may_use(seat.route.model):
            model, its = seat.route.model, ", ".join(sorted(requester.models))
            said = f"the key {requester.name} is for {its}, not for {model}"
            more = f"`reconciler key add NAME --scope infer --model {model}` makes one that is"
            return Refusal(403, f"{said}; {more}")
        return seat.refusal() or seat

    def _pooled(self, name: str, requester: Requester, but: Sequence[Seat]) -> Seat | None:
        seats = [seat for seat in self._seats.values() if name in seat.route.aliases]
        # Each is waited for once: two that are late would send a request back and forth.
        left = [seat for seat in seats if seat not in but] or [*but[-1:]] if seats else []
        return best([seat for seat in left if requester.may_use(seat.route.model)] or left)

    @property
    def is_crowded(self) -> bool:
        """Whether as many requests wait as may, for whatever."""
        seats = (self.unread, *self._seats.values())
        return sum(seat.waiting for seat in seats) >= MOST_HELD

    def instead(
        self, name: str, requester: Requester, lost: Sequence[Seat], refusal: Refusal
    ) -> Seat | Refusal:
        """Where a request goes on that was turned away: to the seat that its name means by now."""
        found = self.sought(name, requester, lost)
        if found is lost[-1] or (isinstance(found, Refusal) and lost[-1] is not self.unread):
            return refusal
        return found

    def _names(self) -> str:
        aliases = (alias for seat in self._seats.values() for alias in seat.route.aliases)
        names = sorted({*self._seats, *aliases})
        return ", ".join(names) or "none, since no file names a model"

    def stir(self, host: str) -> None:
        """Say that a host should be looked at now."""
        if len(self._stirred) < STIRS:
            self._stirred.add(host)
        self._bell.set()

    async def stirred(self) -> AsyncIterator[str]:
        """Each host that should be looked at, as it is said."""
        while True:
            await self._bell.wait()
            self._bell = anyio.Event()
            hosts, self._stirred = self._stirred, set()
            for host in sorted(hosts):
                yield host
