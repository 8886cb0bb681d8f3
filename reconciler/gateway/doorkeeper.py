"""Doorkeeper: judges each request when its head is there, before anything of its body is taken."""

from __future__ import annotations

import os
import socket
import struct
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from reconciler.errors import ReconcilerError
from reconciler.gateway.guard import Doorway, Guarding, admitted, cross_origin
from reconciler.gateway.head import (
    Refusal,
    Request,
    RequestHead,
    body_length,
    given_id,
    host_name,
    judged,
    lines_of,
    new_id,
)
from reconciler.gateway.judged import UNAUTHORIZED, AdmittedRequest, Judged
from reconciler.gateway.keys import HERE, OWNER, KnownKeys, Requester, known
from reconciler.gateway.routes import ROUTER, Entered
from reconciler.gateway.upstream import beneath_cookie, beneath_page

if TYPE_CHECKING:
    import asyncio

    from reconciler.gateway.seats import Seats
    from reconciler.model.access_key import KeyRing

LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}
CREDENTIALS = struct.Struct("3i")
KEYS_SECONDS = 0.02
"""For how long the keys count as they were read: to ask the system costs as much as to judge."""

MOST_FAILURES, FAILURES_SECONDS = 20, 60.0
MOST_ADDRESSES = 1024
TOO_OFTEN = (
    f"{MOST_FAILURES} requests without a right key came from this address in a minute; one with a"
    " right key is answered all the same"
)

Rings = Callable[[], "KeyRing | None"]
Clocks: TypeAlias = tuple[Callable[[], float], Callable[[], float]]
"""The seconds since the machine booted, and those of the wall clock."""

Ground: TypeAlias = tuple[KnownKeys | None, frozenset[str], frozenset[str], int]
"""The keys, the names and origins that the files allow, and the largest body."""


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

    def __init__(self, seats: Seats, rings: Rings, clocks: Clocks) -> None:
        """Take what knows names and origins, and what reads the keys."""
        self._seats, self._rings = seats, rings
        self._clock, self._wall = clocks
        self._looked = -KEYS_SECONDS
        self._failures = Failures()
        self._ring: KeyRing | None = None
        self._known: KnownKeys | None = None

    def _keys(self) -> KnownKeys | None:
        now = self._clock()
        if now - self._looked >= KEYS_SECONDS:
            ring = self._rings()
            # Only now: while they cannot be read, each request asks, and none is let in.
            self._looked = now
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
        request, name = judged(head, names), given_id(head) or new_id()
        if isinstance(request, Refusal):
            return Judged(request, name, closes=True)
        let = lines_of(cross_origin(head, self._seats.origins)) if is_named else b""
        found, spoken = self._called(head, request, entry), ROUTER.spoken(request.path)
        return Judged(
            found,
            name,
            spoken,
            let,
            is_head=request.method == "HEAD",
            largest=self._seats.largest,
            length=body_length(head),
        )

    @property
    def ground(self) -> Ground | None:
        """What a judgement stands on beside the request; None where the keys cannot be read."""
        try:
            keys = self._keys()
        except ReconcilerError:
            return None
        return keys, self._seats.names, self._seats.origins, self._seats.largest

    def lets_in(self, requester: Requester, ground: Ground) -> bool:
        """Whether who was let in on that ground still is."""
        is_over = requester.expires is not None and requester.has_expired(self._wall())
        return not is_over and self.ground == ground

    def still_lets_in(self, requester: Requester) -> bool:
        """Whether who asked is let in to this hour, whatever else has changed."""
        if requester == OWNER:
            return True
        try:
            keys = self._keys()
        except ReconcilerError:
            # That they cannot be read says nothing of this one.
            return True
        if keys is None:
            return requester == HERE
        found = keys.get(requester.key)
        is_same = found is not None and found.requester == requester
        return is_same and not requester.has_expired(self._wall())

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
