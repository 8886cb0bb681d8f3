"""Seat: one model's place, closed until a unit is admitted, and then open for that unit alone."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Protocol
from urllib.parse import urlsplit

from reconciler.gateway.head import Refusal
from reconciler.gateway.line import Line, Waiter
from reconciler.gateway.listing import ListedModel, Residency
from reconciler.gateway.pool import Pool
from reconciler.model.facts import UnitIdentity
from reconciler.model.lending import Demand, Outlook
from reconciler.model.traffic import Route, Traffic
from reconciler.ports import EngineWay

MOST_WAITING = 512
LONGEST_AGAIN = 120
"""Seconds: what is asked more rarely is taken for gone by some clients, and may end sooner."""


class Bell(Protocol):
    """What is told that the demand for a seat has changed."""

    awaited: int
    """For how many seats of its host any request waits."""

    def ring(self) -> None:
        """Take that it has."""


class Seat:
    """What the gateway knows of one model."""

    def __init__(self, route: Route, clock: Callable[[], float], bell: Bell) -> None:
        self.route = route
        self.line = b"X-Reconciler-Model: %b\r\n" % route.model.encode()
        """What an answer says of the model that gave it."""

        self.because = "it has not been seen to work yet"
        self.refused = ""
        self.in_flight = self._looks = 0
        """Requests at the engine, and how many of those only look: they take no place there."""

        self.rests = self.is_displaced = False
        self.arrives_in = 0.0
        """In how many seconds it may serve, where it has to be brought in."""

        self.identity: UnitIdentity | None = None
        self.pool: Pool | None = None
        self.bearer = self.rereader = self.architecture = ""
        self.context = 0
        self._clock, self._bell = clock, bell
        self._used: float | None = None
        self._since: float | None = None
        self._at_once, self._is_paused, self._is_expected = 1, False, False
        self._until: float | None = None
        self._failed = False
        self._waiting = Line()

    @property
    def is_open(self) -> bool:
        """Whether a request may go to the engine now."""
        has_room = self.in_flight - self._looks < self._at_once
        return self.identity is not None and has_room and not self._is_paused

    @property
    def waiting(self) -> int:
        """How many requests wait for it."""
        return len(self._waiting)

    @property
    def is_awaited(self) -> bool:
        """Whether any request waits for it."""
        return bool(self._waiting)

    @property
    def traffic(self) -> Traffic:
        """The requests that are under way."""
        return Traffic(in_flight=self.in_flight, used=self._used, rereader=self.rereader)

    @property
    def demand(self) -> Demand:
        """What requests want of the model."""
        return Demand(
            in_flight=self.in_flight,
            waiting=len(self._waiting),
            oldest=self._waiting.oldest,
            request=self._waiting.first,
            used=self._used,
            since=self._since if self.identity is not None else None,
        )

    @property
    def listed(self) -> ListedModel:
        """How the model is told of in the list of all."""
        refusal = self.refusal()
        name, reason = self.route.model, refusal.reason if refusal else ""
        aliases = self.route.aliases
        on_its_way = refusal is None and self.is_on_its_way
        absent: Residency = "loading" if on_its_way else "unloaded"
        residency = "loaded" if self.identity is not None else absent
        failed = bool(self.refused) and self._failed and self.identity is None
        known = (self.context, self.architecture)
        return ListedModel(name, residency, reason, aliases, *known, failed=failed)

    @property
    def is_on_its_way(self) -> bool:
        """Whether the model is being brought in, unless that is refused."""
        is_wanted = self.route.active and not (self.rests or self.is_displaced)
        return is_wanted or self._is_expected or self.is_awaited

    def refusal(self) -> Refusal | None:
        """Why a request would wait in vain, None where it would not."""
        name = self.route.model
        if not (self.route.active or self.route.lent or self._is_expected):
            return pinned(name)
        if self.refused and self.identity is None:
            said = f"{name} does not serve: {self.refused}"
            return Refusal(503, said, is_final=True, again=self._again)
        return None

    def wait(self, waiter: Waiter, since: float | None) -> float | None:
        """Queue a request; `since` is when it first waited, None for one that has not yet.

        Since when it waits, None where too many do.
        """
        if since is None and len(self._waiting) >= MOST_WAITING:
            return None
        began = self._clock() if since is None else since
        # Several may come from another seat, each to its place among those who wait here.
        self._waiting.join(waiter, began, is_late=since is not None)
        if len(self._waiting) == 1:
            self._bell.awaited += 1
            self._bell.ring()
        return began

    def leave(self, waiter: Waiter) -> None:
        """Take a request out of the queue, if it is there."""
        if self._waiting.leave(waiter) and not self._waiting:
            self._bell.awaited -= 1
            self._bell.ring()

    def admit(self, identity: UnitIdentity, way: EngineWay) -> None:
        """Let requests through to a unit."""
        parts = urlsplit(way.url)
        address = (parts.hostname or "127.0.0.1", parts.port or 80)
        if self.pool is None or self.pool.address != address or self.identity != identity:
            self.disconnect()
            self.pool, self._since = Pool(address, self._clock), self._clock()
        self.identity, self._at_once, self.bearer = identity, way.at_once, way.bearer
        self.context, self.architecture = way.context, way.architecture
        self._call_next()

    def _call_next(self) -> None:
        while self._waiting and self.is_open:
            self._waiting.next().admitted()

    def pause(self, *, paused: bool) -> None:
        """Let new requests wait because it is another model's turn, or no more."""
        self._is_paused = paused
        self._call_next()

    def refuse(self, reason: str) -> None:
        """Tell who asks while the model does not serve that it will not; "" ends that."""
        self.refused = reason
        self.judge()

    def foresee(self, outlook: Outlook) -> None:
        """Take how long what is refused is refused, and whether that is because it failed."""
        self._failed = outlook.failed
        self._until = None if outlook.seconds is None else self._clock() + outlook.seconds

    @property
    def _again(self) -> int | None:
        """In how many seconds it is worth asking again, None where that is not known."""
        if self._until is None:
            return None
        return min(LONGEST_AGAIN, max(1, ceil(self._until - self._clock())))

    def expect(self, *, expected: bool) -> None:
        """Take whether the model is brought in whatever the files say, as for a person."""
        self._is_expected = expected
        self.judge()

    def judge(self) -> None:
        """Tell all who would wait in vain."""
        refusal = self.refusal()
        if refusal is not None:
            self.turn_away(refusal)

    def turn_away(self, refusal: Refusal) -> None:
        """Tell all who wait that the seat will not open."""
        for waiter in self._waiting:
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

    def begin(self, *, is_use: bool = True) -> None:
        """Count a request that goes to the engine; one that only looks is no use of the model."""
        self.in_flight += 1
        if is_use:
            self._used = self._clock()
        else:
            self._looks += 1

    def end(self, *, is_use: bool = True) -> None:
        """Count it off again."""
        self.in_flight -= 1
        if is_use:
            self._used = self._clock()
        else:
            self._looks -= 1
        # Only where somebody waits for it: this is the path of every request.
        if self._bell.awaited:
            self._call_next()
            if self.in_flight == 0:
                self._bell.ring()


def unseen(model_name: str) -> Refusal:
    """Why nobody can look at what a model's engine says."""
    said = f"{model_name} does not serve now, and a request that only looks brings no model in"
    return Refusal(503, said, is_final=True)


def pinned(model_name: str) -> Refusal:
    """Why requests for a model that the file does not want now go nowhere."""
    said = f"{model_name} does not serve now, and requests may not bring it in"
    ways = f"`reconciler use {model_name}` switches to it"
    lets = f"`allow: {model_name}` in desired.yaml lets requests bring it in"
    return Refusal(503, f"{said}; {ways}, and {lets}", is_final=True)
