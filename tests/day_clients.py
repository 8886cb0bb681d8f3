"""Clients of a simulated day: they ask for models at the gateway's own seats, and ask again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import Any

from reconciler.gateway.head import Refusal
from reconciler.gateway.lobby import SeatsLobby
from reconciler.gateway.seat import Seat
from reconciler.model.traffic import Route
from reconciler.ports import EngineWay
from tests.sample_worlds import identity


class Moments:
    """What happens when, in the time of one day."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._next: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = count()

    @property
    def next(self) -> float:
        return self._next[0][0] if self._next else inf

    def after(self, seconds: float, act: Callable[..., None], *arguments: Any) -> None:
        heappush(self._next, (self.now + seconds, next(self._number), act, arguments))

    def happen(self) -> None:
        self.now, _, act, arguments = heappop(self._next)
        act(*arguments)


class BelledLobby(SeatsLobby):
    """A lobby whose bell is heard at once."""

    rung = False

    def ring(self) -> None:
        self.rung = True


@dataclass(frozen=True)
class Habits:
    """Who asks for what, and the longest times in seconds."""

    asks: Callable[[Random, int], str]
    clients: int
    at_once: int = 1000
    answer: float = 1.0
    think: float = 1.0


@dataclass(eq=False)
class AskedRequest:
    """One request of a client, from its arrival to its end."""

    crowd: Crowd
    client: int
    seat: Seat
    by: str = ""
    request: str = ""
    is_over: bool = False

    def admitted(self) -> None:
        self.seat.leave(self)
        self.crowd.sends(self)

    def turned_away(self, refusal: Refusal) -> None:
        self.seat.leave(self)
        self.crowd.tells(self, refusal)


@dataclass
class Crowd:
    """The clients and the seats of one host."""

    habits: Habits
    random: Random
    moments: Moments
    seats: dict[str, Seat] = field(default_factory=dict)
    lobby: BelledLobby = field(default_factory=BelledLobby)
    is_closed: bool = False
    under_way: list[AskedRequest] = field(default_factory=list)

    def route(self, routes: Mapping[str, Route]) -> None:
        """Take what the files say of each model."""
        for name, route in routes.items():
            if name in self.seats:
                self.seats[name].route = route
            else:
                self.seats[name] = Seat(route, lambda: self.moments.now, self.lobby)
        self.lobby.seat(self.seats.values())
        for seat in self.seats.values():
            seat.judge()

    def come(self) -> None:
        """Let each client ask for the first time."""
        for client in range(self.habits.clients):
            self._asks_after(self.random.uniform(0.0, self.habits.think), client)

    def open(self, model_name: str) -> None:
        """Let requests through to a model, as the step `admit` does."""
        way = EngineWay("http://127.0.0.1:1", self.habits.at_once)
        self.seats[model_name].admit(identity(7), way)

    def cut(self, model_name: str) -> None:
        """End what is under way at a model."""
        for request in [one for one in self.under_way if one.seat is self.seats[model_name]]:
            self._ends(request)

    def _asks_after(self, seconds: float, client: int) -> None:
        self.moments.after(seconds, self._ask, client)

    def _ask(self, client: int) -> None:
        if self.is_closed:
            return
        seat = self.seats[self.habits.asks(self.random, client)]
        request, refusal = AskedRequest(self, client, seat), seat.refusal()
        if refusal is not None:
            self.tells(request, refusal)
        elif seat.is_open:
            self.sends(request)
        else:
            seat.wait(request, None)
            self.moments.after(seat.route.max_wait, self._is_late, request)

    def sends(self, request: AskedRequest) -> None:
        """Let a request go to its engine."""
        request.seat.begin()
        self.under_way.append(request)
        seconds = self.habits.answer * self.random.uniform(0.1, 1.0)
        self.moments.after(seconds, self._ends, request)

    def tells(self, request: AskedRequest, refusal: Refusal) -> None:
        """Tell a client why it gets no answer."""
        assert refusal.reason
        request.is_over = True
        self._asks_after(max(1.0, self.random.uniform(0.0, 10 * self.habits.think)), request.client)

    def _ends(self, request: AskedRequest) -> None:
        if request in self.under_way:
            self.under_way.remove(request)
            request.is_over = True
            request.seat.end()
            self._asks_after(self.random.uniform(0.0, self.habits.think), request.client)

    def _is_late(self, request: AskedRequest) -> None:
        if not request.is_over and request not in self.under_way:
            said = f"{request.seat.route.model} is not ready: {request.seat.because}"
            request.turned_away(Refusal(503, said))
