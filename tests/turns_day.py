"""Simulated days of a host whose models requests bring in by turns, and what holds on each.

The longest wait: while a model waits, each of the others has one turn at most, which is a switch,
the time that a place is kept, and the answer that is under way then. Before the first, what the
file wants may be on its way back, and after the last comes the model's own switch. So of n models
that share one place, each is brought in within
(n - 1) * (min_residency + answer + switch) + 2 * switch of the moment from which it is owed a turn:
the arrival of its oldest request, or the end of its last turn. A request that comes while its model
makes way waits for one answer more.

Where models need several places, a switch of other places may be under way when one is to make way,
and again when it has: two switches more for each turn. That no day exceeds this is tried, not
proven: a younger model may take a place that is free, before an older one that needs others too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import Any, NamedTuple

from reconciler.core import turns
from reconciler.core.turns import Seating, Turn
from reconciler.model.lending import Demand, Rules

UNLIMITED = 1000
CALLS = 5
"""For one event at most, so that nobody is asked in a circle."""
SLACK = 1e-6


class Request(NamedTuple):
    """One of a client's requests; a client asks again after the answer."""

    client: int
    arrived: float


@dataclass(frozen=True)
class Host:
    """A host and its clients: which model a client asks for, and the longest times in seconds."""

    rules: Rules
    rivals: dict[str, frozenset[str]]
    wanted: frozenset[str]
    asks: Callable[[Random, int], str]
    clients: int
    at_once: int = UNLIMITED
    switch: float = 2.0
    answer: float = 1.0
    think: float = 1.0

    @property
    def grace(self) -> float:
        return min(max(self.switch / 10, 0.1), 5.0)

    @property
    def is_one_place(self) -> bool:
        """Whether no two of its models can run side by side."""
        return all(len(one) == len(self.rivals) - 1 for one in self.rivals.values())

    @property
    def longest_wait(self) -> float:
        """Of a model that is owed a turn."""
        elsewhere = 0.0 if self.is_one_place else 2 * self.switch
        turn = self.rules.min_residency + self.answer + self.switch + elsewhere
        return (len(self.rivals) - 1) * turn + 2 * self.switch


@dataclass
class Seat:
    """What happens to one model."""

    queue: deque[Request] = field(default_factory=deque)
    in_flight: int = 0
    used: float | None = None
    since: float | None = None
    lost: float = -inf
    owed: int = 0

    def demand(self) -> Demand:
        oldest = self.queue[0].arrived if self.queue else None
        return Demand.model_construct(
            in_flight=self.in_flight,
            waiting=len(self.queue),
            oldest=oldest,
            used=self.used,
            since=self.since,
        )

    def unused_since(self) -> float:
        return max(self.since or 0.0, self.used or 0.0)


class Day:
    """One host from its first request on. Each law is checked when something happens."""

    def __init__(self, host: Host, seed: int) -> None:
        self.host, self.random = host, seeded(seed)
        self.seats = {model: Seat() for model in host.rivals}
        self.now, self.lent, self.is_at_rest = 0.0, frozenset[str](), True
        self.serving, self.paused = host.wanted, frozenset[str]()
        self.turns: list[tuple[float, Turn]] = []
        self.given_up, self.calls = 0, 0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number, self._tick = count(), inf
        for model in self.serving:
            self.seats[model].since = 0.0
        for client in range(host.clients):
            self._at(self.random.uniform(0.0, host.think), self._ask, client)

    def lived(self, events: int, until: float = inf) -> Day:
        """Let so much happen."""
        for self.happened in range(1, events + 1):
            assert self._events, "asleep, and nobody will wake it"
            if self._events[0][0] > until:
                break
            self.now, _, act, arguments = heappop(self._events)
            act(*arguments)
            self._decide()
        for seat in self._waiting():
            self._waited(seat, seat.queue[0])
        assert self.calls <= CALLS * self.happened, "asked in a circle"
        return self

    def demands(self) -> dict[str, Demand]:
        return {model: seat.demand() for model, seat in self.seats.items()}

    def decided(self, now: float) -> Turn:
        host = self.host
        seating = Seating(self.serving, host.wanted, host.rivals)
        return turns.turn(host.rules, seating, self.demands(), host.grace, now)

    def _at(self, moment: float, act: Callable[..., None], *arguments: Any) -> None:
        heappush(self._events, (moment, next(self._number), act, arguments))

    def _waiting(self) -> Iterator[Seat]:
        """The seats of the models that are owed a turn."""
        for model, seat in self.seats.items():
            if seat.queue and model not in self.serving:
                yield seat

    # What clients do.

    def _ask(self, client: int) -> None:
        model = self.host.asks(self.random, client)
        request = Request(client, self.now)
        self.seats[model].queue.append(request)
        if self.host.rules.max_wait < inf:
            self._at(self.now + self.host.rules.max_wait, self._give_up, model, request)
        self._send(model)

    def _give_up(self, model: str, request: Request) -> None:
        seat = self.seats[model]
        if request in seat.queue:
            self._waited(seat, request)
            seat.queue.remove(request)
            self.given_up += 1
            self._at(self.now + 1.0, self._ask, request.client)

    def _send(self, model: str) -> None:
        seat = self.seats[model]
        if seat.since is None or model in self.paused:
            return
        while seat.queue and seat.in_flight < self.host.at_once:
            request = seat.queue.popleft()
            self._check_wait(request)
            seat.in_flight, seat.used, seat.owed = seat.in_flight + 1, self.now, seat.owed - 1
            seconds = self.host.answer * self.random.uniform(0.1, 1.0)
            self._at(self.now + seconds, self._end, model, request.client)

    def _end(self, model: str, client: int) -> None:
        seat = self.seats[model]
        seat.in_flight, seat.used = seat.in_flight - 1, self.now
        self._at(self.now + self.random.uniform(0.0, self.host.think), self._ask, client)
        self._send(model)

    # What the host does.

    def _look(self) -> None:
        self._tick = inf

    def _decide(self) -> None:
        if not self.is_at_rest:
            return
        found = self.decided(self.now)
        self.calls += 1
        self.turns.append((self.now, found))
        freed, self.paused = self.paused - found.pause, found.pause
        if found.grant or found.release:
            self._switch(found)
            return
        if found.look is not None and self.now + found.look < self._tick - SLACK:
            self._tick = self.now + found.look
            self._at(self._tick, self._look)
        before = self.demands()
        for model in freed:
            self._send(model)
        if before != self.demands():
            self._decide()

    def _switch(self, found: Turn) -> None:
        host = self.host
        if found.release:
            self._check_return(found.release)
        if found.grant:
            for holder in host.rivals[found.grant] & self.serving:
                self._check_place(holder)
        lent = self.lent - {found.release}
        if found.grant:
            lent = lent - host.rivals[found.grant] | ({found.grant} - host.wanted)
        displaced = frozenset[str]().union(*(host.rivals[model] for model in lent))
        before, self.lent, self.serving = self.serving, lent, (host.wanted - displaced) | lent
        for model in before - self.serving:
            self.seats[model].since, self.seats[model].lost = None, self.now
            assert self.seats[model].owed <= 0, "who queued at the opening got no turn"
        self.is_at_rest = False
        self._at(self.now + host.switch * self.random.uniform(0.5, 1.0), self._ready)

    def _ready(self) -> None:
        self.is_at_rest = True
        for model in self.serving:
            seat = self.seats[model]
            if seat.since is None:
                seat.since, seat.owed = self.now, min(len(seat.queue), self.host.at_once)
                if seat.queue:
                    self._waited(seat, seat.queue[0])
                self._send(model)

    # The laws.

    def _waited(self, seat: Seat, request: Request) -> None:
        """Nobody waits for longer than the turns of all others take."""
        if seat.since not in {None, self.now}:
            return
        seconds = self.now - max(request.arrived, seat.lost)
        assert seconds <= self.host.longest_wait + SLACK, "starved"

    def _check_wait(self, request: Request) -> None:
        if self.host.at_once == UNLIMITED:
            longest = self.host.longest_wait + self.host.answer
            assert self.now - request.arrived <= longest + SLACK, "starved"

    def _check_place(self, model: str) -> None:
        """Nobody is cut, and nobody makes way early who is in use."""
        seat = self.seats[model]
        assert seat.in_flight == 0, "cut"
        least = self.host.rules.min_residency
        had_its_time = seat.since is not None and self.now - seat.since >= least - SLACK
        unused = not seat.queue and self.now - seat.unused_since() >= (
            min(self.host.grace, least) - SLACK
        )
        assert had_its_time or unused, "thrash"

    def _check_return(self, model: str) -> None:
        """What is lent goes back only when nobody wants it."""
        seat, after = self.seats[model], self.host.rules.return_after
        assert model in self.lent
        assert not seat.in_flight
        assert not seat.queue
        assert after is not None
        assert self.now - seat.unused_since() >= after - SLACK


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a test must be repeatable


def one_place(models: str) -> dict[str, frozenset[str]]:
    return {model: frozenset(models) - {model} for model in models}


def on_cards(random: Random, models: str) -> dict[str, frozenset[str]]:
    cards = {model: {*random.sample(range(3), random.randint(1, 3))} for model in models}
    return {
        one: frozenset(
            other for other in models if other != one and not cards[one].isdisjoint(cards[other])
        )
        for one in models
    }


def wanted_of(random: Random, rivals: dict[str, frozenset[str]]) -> frozenset[str]:
    """Return models that can run side by side."""
    found: set[str] = set()
    for model in random.sample(sorted(rivals), random.randint(0, len(rivals))):
        if found.isdisjoint(rivals[model]):
            found.add(model)
    return frozenset(found)


def any_host(seed: int) -> Host:
    random = seeded(seed)
    models = "abcde"[: random.randint(2, 5)]
    rivals = one_place(models) if random.random() < 0.5 else on_cards(random, models)
    habits = [random.choice([None, *models]) for _ in range(30)]
    return Host(
        rules=Rules(
            allow=tuple(models),
            return_after=random.choice([None, 0.0, 5.0, 60.0]),
            min_residency=random.choice([0.0, 1.0, 5.0, 30.0]),
            max_wait=random.choice([inf, inf, 20.0]),
        ),
        rivals=rivals,
        wanted=wanted_of(random, rivals),
        asks=lambda chance, client: habits[client] or chance.choice(models),
        clients=random.choice([1, 3, 10, 30]),
        at_once=random.choice([UNLIMITED, 1, 4]),
        switch=random.choice([0.1, 2.0, 20.0]),
        answer=random.choice([0.05, 1.0, 10.0, 60.0]),
        think=random.choice([0.1, 1.0, 30.0]),
    )
