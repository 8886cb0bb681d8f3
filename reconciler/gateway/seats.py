"""Seats: for each model whether requests may reach it, and how many are under way there.

The only truth of the data path that changes, and only ever in the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlsplit

import anyio

from reconciler.gateway.head import Refusal
from reconciler.gateway.pool import Pool
from reconciler.model.facts import Fact, Known, UnitIdentity
from reconciler.model.traffic import Admitting, Route, Routes, Traffic
from reconciler.ports import Evidence

SPECIAL = {"", "active"}
"""Names that stand for whatever the file says should serve."""

MOST_WAITING = 512
UNREAD = Refusal(503, "the files have not been read yet; the log of `serve` says where it is")
ENDING = Refusal(503, "the gateway is being restarted; ask again")
STIRS = 64
"""How many hosts may wait to be looked at; one that waits already is not added."""


class Waiter(Protocol):
    """Who waits for a seat."""

    def admitted(self) -> None:
        """Go on: the seat is open."""

    def turned_away(self, refusal: Refusal) -> None:
        """Give up: the seat will not open."""


class Seat:
    """One model's place: closed until a unit is admitted, and then open for that unit alone."""

    def __init__(self, route: Route, clock: Callable[[], float]) -> None:
        self.route = route
        self.because = "it has not been seen to work yet"
        self.in_flight = 0
        self.used: float | None = None
        self.identity: UnitIdentity | None = None
        self.pool: Pool | None = None
        self._clock = clock
        self._at_once = 1
        self._waiting: deque[Waiter] = deque()

    @property
    def is_open(self) -> bool:
        """Whether a request may go to the engine now."""
        return self.identity is not None and self.in_flight < self._at_once

    @property
    def waiting(self) -> int:
        """How many requests wait for it."""
        return len(self._waiting)

    def wait(self, waiter: Waiter, *, first: bool) -> bool:
        """Queue a request, unless too many wait; `first` is for one that had its turn before."""
        if first:
            self._waiting.appendleft(waiter)
        elif len(self._waiting) < MOST_WAITING:
            self._waiting.append(waiter)
        else:
            return False
        return True

    def leave(self, waiter: Waiter) -> None:
        """Take a request out of the queue, if it is there."""
        with suppress(ValueError):
            self._waiting.remove(waiter)

    def admit(self, identity: UnitIdentity, url: str, at_once: int) -> None:
        """Let so many requests at once through to a unit, which is reached at `url`."""
        parts = urlsplit(url)
        address = (parts.hostname or "127.0.0.1", parts.port or 80)
        if self.pool is None or self.pool.address != address or self.identity != identity:
            self.disconnect()
            self.pool = Pool(address, self._clock)
        self.identity, self._at_once = identity, at_once
        self._call_next()

    def _call_next(self) -> None:
        while self._waiting and self.is_open:
            self._waiting[0].admitted()

    def turn_away(self, refusal: Refusal) -> None:
        """Tell all who wait that the seat will not open."""
        for waiter in tuple(self._waiting):
            waiter.turned_away(refusal)

    def close(self, because: str) -> None:
        """Let nothing more through; what is under way goes on."""
        self.identity, self.because = None, because

    def hang_up(self) -> int:
        """Close the idle connections to the engine; how many there were."""
        return self.pool.hang_up() if self.pool is not None else 0

    def disconnect(self) -> None:
        """Keep no connection to the engine from now on."""
        if self.pool is not None:
            self.pool.close()

    def begin(self) -> None:
        """Count a request that goes to the engine."""
        self.in_flight += 1
        self.used = self._clock()

    def end(self) -> None:
        """Count it off again."""
        self.in_flight -= 1
        self.used = self._clock()
        self._call_next()


def _models(routes: Routes) -> set[str]:
    return {route.model for route in routes.models}


def _pinned(model_name: str) -> Refusal:
    said = f"{model_name} does not serve now, and requests may not bring it in"
    return Refusal(503, f"{said}; `reconciler use {model_name}` switches to it")


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
        return Known(Traffic(in_flight=seat.in_flight, used=seat.used) if seat else Traffic())

    async def admit(
        self, model_name: str, identity: UnitIdentity, url: str, at_once: int
    ) -> Evidence:
        """Open the gate for one unit. Repeatable."""
        seat = self._seats.of_model(model_name)
        if seat is not None:
            seat.admit(identity, url, at_once)
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

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take what tells the boot clock in seconds."""
        self._clock = clock
        self._seats: dict[str, Seat] = {}
        self._main: str | None = None
        self._is_routed = False
        self._stirred: set[str] = set()
        self._bell = anyio.Event()

    def route(self, routes: Routes) -> None:
        """Take which models there are; a seat that stays keeps what it knows."""
        self._is_routed, self._main = True, routes.main
        gone = [self._seats.pop(name) for name in self._seats.keys() - _models(routes)]
        for route in routes.models:
            self._seats.setdefault(route.model, Seat(route, self._clock)).route = route
        # Only when all is known: who waits for whatever is active may go to another seat now.
        for seat in gone:
            seat.close("no file names it any more")
            seat.turn_away(Refusal(404, f"no file names {seat.route.model} any more"))
            seat.hang_up()
        for seat in tuple(self._seats.values()):
            if not seat.route.active:
                seat.turn_away(_pinned(seat.route.model))

    def leave(self) -> None:
        """Tell all who wait that this process ends."""
        for seat in self._seats.values():
            seat.turn_away(ENDING)

    def disconnect(self) -> None:
        """Keep no connection to any engine from now on."""
        for seat in self._seats.values():
            seat.disconnect()

    def gate(self, host: str) -> SeatsGate:
        """The gate of one host."""
        return SeatsGate(self, host)

    def of_model(self, model_name: str) -> Seat | None:
        """The seat of a model, None where no file names it."""
        return self._seats.get(model_name)

    def sought(self, name: str) -> Seat | Refusal:
        """The seat for a name that a request gives, or why there is none."""
        if not self._is_routed:
            return UNREAD
        if name in SPECIAL and self._main is None:
            said = "the request names no model, and the files do not make clear which is meant"
            return Refusal(400, f"{said}; expected one of: {self._names()}")
        seat = self._seats.get(self._main or "") if name in SPECIAL else self._seats.get(name)
        if seat is None:
            return Refusal(404, f'no model is called "{name}"; expected one of: {self._names()}')
        if not seat.route.active:
            return _pinned(seat.route.model)
        return seat

    def _names(self) -> str:
        return ", ".join(sorted(self._seats)) or "none, since no file names a model"

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
