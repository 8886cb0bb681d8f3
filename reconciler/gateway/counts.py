"""Counts: what became of the requests of this process, as plain numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from reconciler.model.lending import Demand
from reconciler.model.metrics import Histogram, Labels, MetricFamily, counted, gauged, timed

LAGS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
GONE = "gone"

Tell: TypeAlias = Callable[[Mapping[str, object]], None]
"""What writes an access log."""


class Passage:
    """One request, from its head to its end."""

    __slots__ = (
        "_clock", "began", "ended", "events", "first", "is_gone", "key", "model", "name", "refusal",
        "retries", "route", "sent", "size", "status", "waited",
    )  # fmt: skip

    def __init__(self, name: bytes, clock: Callable[[], float], began: float) -> None:
        """Take its name, what tells seconds, and when it began by that."""
        self._clock = clock
        self.name, self.began = name, began
        self.route = self.key = self.model = ""
        self.sent: float | None = None
        self.first: float | None = None
        self.ended = self.began
        self.status = self.refusal = self.events = self.size = self.retries = 0
        """The status of the head, that of an error of ours, and what else is counted."""
        self.waited = self.is_gone = False

    @property
    def identity(self) -> str:
        """The name that its answer has in X-Request-ID."""
        return self.name.decode()

    def comes_in(self, route: str, key: str) -> None:
        """Take the way in, as the table of routes has it, and the name of the key that was sent."""
        self.route, self.key = route, key

    def sends(self) -> None:
        """Take that it goes to its engine."""
        if self.sent is None:
            self.sent = self._clock()

    def hears(self) -> None:
        """Take that its answer begins."""
        self.first = self._clock()

    def ends(self, *, is_gone: bool) -> None:
        """Take that it is over; `is_gone` because its client left."""
        self.ended, self.is_gone = self._clock(), is_gone

    @property
    def line(self) -> Mapping[str, object]:
        """What a log says of it: nothing that a client wrote but the name of its request."""
        sent, first = self.sent, self.first
        return {
            "id": self.identity,
            "key": self.key,
            "model": self.model,
            "route": self.route,
            "code": self.code,
            "bytes": self.size,
            "queue": None if sent is None else round(sent - self.began, 6),
            "first_byte": None if first is None else round(first - self.began, 6),
            "total": round(self.ended - self.began, 6),
            "gone": self.is_gone,
        }

    @property
    def state(self) -> str:
        """How far it came."""
        if self.first is not None:
            return "answering"
        return "asked" if self.sent is not None else "waiting"

    @property
    def code(self) -> str:
        """The status that the client got, in a head or in an event."""
        return str(self.refusal or self.status or GONE)


class Counts:
    """The numbers of all requests that are over."""

    def __init__(self) -> None:
        self.tell: Tell | None = None
        """What each request that is over is told to."""
        self._requests = Counter[Labels]()
        self._refused = Counter[Labels]()
        self._holds = Counter[Labels]()
        self._retries = Counter[Labels]()
        self._gone = Counter[Labels]()
        self._events = Counter[Labels]()
        self._seconds = defaultdict[Labels, Histogram](Histogram)
        self._queued = defaultdict[Labels, Histogram](Histogram)
        self._first = defaultdict[Labels, Histogram](Histogram)
        self._lag = Histogram(LAGS)

    def take(self, one: Passage) -> None:
        """Count a request that is over."""
        model = (one.model,)
        self._requests[one.model, one.route, one.code] += 1
        self._seconds[model].add(one.ended - one.began)
        if one.sent is not None:
            self._queued[model].add(one.sent - one.began)
        if one.first is not None:
            self._first[model].add(one.first - one.began)
            self._events[model] += one.events
        if one.retries:
            self._retries[model] += one.retries
        if one.refusal:
            self._refused[str(one.refusal),] += 1
        if one.is_gone:
            self._gone[one.state,] += 1
        if one.waited:
            self._holds[one.model, _result(one)] += 1
        if self.tell is not None:
            self.tell(one.line)

    def lagged(self, seconds: float) -> None:
        """Count how late the event loop was."""
        self._lag.add(seconds)

    def families(self, demands: Mapping[str, Demand]) -> Iterator[MetricFamily]:
        """All of it, and what is under way."""
        model = ("model",)
        told = "Requests that are over, by the status that the client got."
        yield counted("requests_total", told, ("model", "route", "code"), self._requests)
        told = "Seconds from a request's head to the end of its answer."
        yield timed("request_seconds", told, model, self._seconds)
        told = "Seconds from a request's head until an engine was asked."
        yield timed("queue_seconds", told, model, self._queued)
        told = "Seconds from a request's head to the head of its answer."
        yield timed("first_byte_seconds", told, model, self._first)
        yield from _under_way(demands)
        told = "Requests that had to wait for their model, by what came of them."
        yield counted("holds_total", told, ("model", "result"), self._holds)
        told = "Answers of the gateway itself that are errors, by status."
        yield counted("refused_total", told, ("reason",), self._refused)
        told = "Requests that were sent once more because an idle connection had ended."
        yield counted("retries_total", told, model, self._retries)
        told = "Clients that left before the end, by how far their answer was."
        yield counted("client_gone_total", told, ("state",), self._gone)
        told = "Events of streams that were passed on to clients."
        yield counted("stream_events_total", told, model, self._events)
        told = "How late the event loop was, looked at once a second while anybody is connected."
        yield timed("loop_lag_seconds", told, (), {(): self._lag})


def _under_way(demands: Mapping[str, Demand]) -> Iterator[MetricFamily]:
    under_way: dict[Labels, float] = {(name,): one.in_flight for name, one in demands.items()}
    waiting: dict[Labels, float] = {(name,): one.waiting for name, one in demands.items()}
    yield gauged("in_flight", "Requests that engines answer now.", ("model",), under_way)
    yield gauged("waiting", "Requests that wait for their model now.", ("model",), waiting)


def _result(one: Passage) -> str:
    if one.sent is not None:
        return "sent"
    return GONE if one.is_gone else "refused"
