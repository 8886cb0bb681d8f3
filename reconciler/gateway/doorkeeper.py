"""Doorkeeper: judges each request when its head is there, before anything of its body is taken."""

from __future__ import annotations

import os
import socket
import struct
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from reconciler.errors import ReconcilerError
from reconciler.gateway.guard import Doorway, Guarding, admitted, cross_origin
from reconciler.gateway.head import (
    Field,
    Refusal,
    Request,
    RequestHead,
    host_name,
    judged,
    request_id,
)
from reconciler.gateway.keys import KnownKeys, Requester, known
from reconciler.gateway.naming import Spoken
from reconciler.gateway.routes import ROUTER, Entered
from reconciler.gateway.upstream import beneath_cookie, beneath_page
from reconciler.model.gateway import LARGEST_BODY

if TYPE_CHECKING:
    import asyncio

    from reconciler.gateway.seats import Seats
    from reconciler.model.access_key import KeyRing

LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}
CREDENTIALS = struct.Struct("3i")
REQUEST_ID = b"X-Request-ID"
REQUEST_NAMES: Mapping[Spoken, tuple[bytes, ...]] = {"anthropic": (REQUEST_ID, b"request-id")}
"""Where clients look for the name of their request; Anthropic's SDK looks elsewhere."""
UNAUTHORIZED = 401
UNAUTHORIZED_SECONDS = 0.05
"""How long who sends no right key waits for that answer."""

MOST_FAILURES, FAILURES_SECONDS = 20, 60.0
MOST_ADDRESSES = 1024
TOO_OFTEN = (
    f"{MOST_FAILURES} requests without a right key came from this address in a minute; one with a"
    " right key is answered all the same"
)

Rings = Callable[[], "KeyRing | None"]


class AdmittedRequest(NamedTuple):
    """A request that may come in: where to, and who asks."""

    request: Request
    entered: Entered
    requester: Requester

    @property
    def may_upgrade(self) -> bool:
        """Whether another protocol is spoken from here on, if the engine does."""
        return self.request.upgrades and self.entered.entrance.answer == "upstream"


class Judged(NamedTuple):
    """What becomes of a request, and what its answer says beside.

    `spoken` is the protocol for errors; `closes` where what follows cannot be told from it;
    `is_head` where an answer has no body; `largest` is how many bytes its own may have.
    """

    found: AdmittedRequest | Refusal
    spoken: Spoken = "openai"
    fields: tuple[Field, ...] = ()
    closes: bool = False
    is_head: bool = False
    largest: int = LARGEST_BODY

    @property
    def route(self) -> str:
        """The way in, as the table of routes has it; nothing where it was not let in."""
        if isinstance(self.found, Refusal):
            return ""
        return self.found.entered.entrance.shape

    @property
    def key(self) -> str:
        """The name of the key that was sent, nothing without one that is right."""
        return "" if isinstance(self.found, Refusal) else self.found.requester.name

    @property
    def identity(self) -> str:
        """The name of the request, nothing where its head was not read."""
        return next((value.decode() for name, value in self.fields if name == REQUEST_ID), "")

    @property
    def delay(self) -> float:
        """How long the answer is kept back."""
        is_unknown = isinstance(self.found, Refusal) and self.found.status == UNAUTHORIZED
        return UNAUTHORIZED_SECONDS if is_unknown else 0.0


class Entry(NamedTuple):
    """A connection's way in: its door, the client's address, and ours as it may be named."""

    door: Doorway
    address: str
    own_name: str


class Failures:
    """How often each address came with no right key in the last minute."""

    def __init__(self) -> None:
        self._times = OrderedDict[str, deque[float]]()

    def too_many(self, address: str, now: float) -> bool:
        """Count one more; whether that is too many."""
        times = self._times.setdefault(address, deque(maxlen=MOST_FAILURES))
        self._times.move_to_end(address)
        if len(self._times) > MOST_ADDRESSES:
            self._times.popitem(last=False)
        is_full = len(times) == MOST_FAILURES and now - times[0] < FAILURES_SECONDS
        if not is_full:
            times.append(now)
        return is_full


class Doorkeeper:
    """Who may come in, by the keys and names that there are when a request comes."""

    def __init__(self, seats: Seats, rings: Rings, wall: Callable[[], float]) -> None:
        """Take what knows names and origins, what reads the keys, and the wall clock."""
        self._seats, self._rings, self._wall = seats, rings, wall
        self._failures = Failures()
        self._ring: KeyRing | None = None
        self._known: KnownKeys | None = None

    def _keys(self) -> KnownKeys | None:
        ring = self._rings()
        if ring is not self._ring:
            self._ring, self._known = ring, None if ring is None else known(ring)
        return self._known

    def entry(self, transport: asyncio.BaseTransport) -> Entry:
        """The way in of a new connection."""
        own: socket.socket = transport.get_extra_info("socket")
        if own.family == socket.AF_UNIX:
            told = own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
            return Entry(Doorway(uid=CREDENTIALS.unpack(told)[1], own=os.getuid()), "", "")
        here = ip_address(transport.get_extra_info("sockname")[0])
        name = f"[{here}]" if here.version == IPV6 else str(here)
        peer = transport.get_extra_info("peername")
        return Entry(Doorway(is_local=here.is_loopback), peer[0] if peer else "", name)

    def judge(self, head: RequestHead, entry: Entry) -> Judged:
        """Judge a head."""
        is_named = entry.door.uid is None
        names = {*LOCAL_NAMES, *self._seats.names, entry.own_name} if is_named else None
        request = judged(head, names)
        name = request_id(head)
        if isinstance(request, Refusal):
            return Judged(request, fields=((REQUEST_ID, name),), closes=True)
        let = cross_origin(head, self._seats.origins) if is_named else ()
        spoken = ROUTER.spoken(request.path)
        named = REQUEST_NAMES.get(spoken, (REQUEST_ID,))
        fields = (*((field, name) for field in named), *let)
        found = self._called(head, request, entry)
        is_head, largest = request.method == "HEAD", self._seats.largest
        return Judged(found, spoken, fields, is_head=is_head, largest=largest)

    def _called(
        self, head: RequestHead, request: Request, entry: Entry
    ) -> AdmittedRequest | Refusal:
        entered = _entered(head, request)
        if isinstance(entered, Refusal):
            return entered
        requester = self._requester(head, entered, entry)
        return (
            requester
            if isinstance(requester, Refusal)
            else AdmittedRequest(request, entered, requester)
        )

    def _requester(self, head: RequestHead, entered: Entered, entry: Entry) -> Requester | Refusal:
        try:
            guarding = Guarding(self._keys(), self._seats.origins, self._wall())
        except ReconcilerError as error:
            # Whom they let in is not known, so nobody is.
            return Refusal(503, error.message)
        host = head.value(b"host").decode("latin-1").lower()
        is_local = host_name(host) in LOCAL_NAMES
        found = admitted(head, entered.entrance, entry.door, guarding, is_local_name=is_local)
        is_unknown = isinstance(found, Refusal) and found.status == UNAUTHORIZED
        if is_unknown and self._failures.too_many(entry.address, guarding.now):
            return Refusal(429, TOO_OFTEN)
        return found


IPV6 = 6


def _entered(head: RequestHead, request: Request) -> Entered | Refusal:
    found = ROUTER.find(request.method, beneath_page(head, request.path))
    is_nowhere = isinstance(found, Refusal) and found.status == NOT_FOUND
    page = beneath_cookie(head, request.path) if is_nowhere else None
    return found if page is None else ROUTER.find(request.method, page)


NOT_FOUND = 404
