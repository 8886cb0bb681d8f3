"""Requests: as the gateway frames them, and as h11 does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import h11

from reconciler.gateway.head import Refusal, RequestHead, body_length, end_to_end, judged
from reconciler.gateway.judged import AdmittedRequest, Judged
from reconciler.gateway.keys import NOBODY
from reconciler.gateway.reading import RequestReader, WholeRequest
from reconciler.gateway.routes import ROUTER, TABLE, Entered

HOSTS = {"localhost"}
LINE_ENDS = b"\r\n"
BLANKS = re.compile(rb" +")
AUTHORITY = re.compile(rb"^https?://[^/?]*")


class Framed(NamedTuple):
    """One request, as whoever reads it understands it."""

    method: str
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Read(NamedTuple):
    """The requests that were taken, the status with which the next was refused, if it was, and
    whether no other would be read.
    """

    taken: list[Framed]
    status: int | None
    is_closed: bool


def read(pieces: Iterable[bytes], *, forgets: bool = False) -> Read:
    """What the gateway reads; whoever may come in, a head is judged by itself.

    One that `forgets` goes by no head that came before.
    """
    judge = Forgetful() if forgets else EachJudged()
    reader, taken = RequestReader(judge, _welcome), list[Framed]()
    for piece in pieces:
        reader.feed(piece)
    for whole in reader.whole:
        if isinstance(whole.judged.found, Refusal):
            return Read(taken, whole.judged.found.status, is_closed=True)
        taken.append(_framed(whole, whole.judged.found))
        if not whole.keeps:
            return Read(taken, None, is_closed=True)
    return Read(taken, None, is_closed=False)


class EachJudged:
    """Judges a head by itself, and one that says the same as the last one as that."""

    last: Judged | None = None

    def judge(self, head: RequestHead) -> Judged:
        self.last = _judge(head)
        return self.last

    def again(self, length: int) -> Judged | None:
        if self.last is None or bool(length) != bool(self.last.length):
            return None
        return self.last._replace(length=length)


class Forgetful(EachJudged):
    """Judges each head by itself."""

    def again(self, length: int) -> Judged | None:
        _ = length
        return None


def _judge(head: RequestHead) -> Judged:
    found = judged(head, HOSTS)
    if isinstance(found, Refusal):
        return Judged(found, b"", closes=True)
    entered = ROUTER.find(found.method, found.path)
    # What is served nowhere is read like the rest: this is about bytes.
    into = Entered(TABLE[0], {}) if isinstance(entered, Refusal) else entered
    return Judged(AdmittedRequest(found, into, NOBODY), b"", length=body_length(head))


def _welcome() -> None:
    """Tell nobody that a body may come."""


def _framed(whole: WholeRequest, found: AdmittedRequest) -> Framed:
    # Blanks around a value are none of it.
    fields = tuple((name.lower(), value.strip(b" \t")) for name, value in found.request.fields)
    return Framed(found.request.method, found.request.target, fields, whole.body)


def by_h11(raw: bytes) -> list[Framed]:
    """The requests that h11 reads, up to what it refuses or waits for."""
    found: list[Framed] = []
    while True:
        # Empty lines before a request are skipped (RFC 9112, section 2.2), and blanks between the
        # words of its first line may be several (section 3); h11 refuses both.
        line, end, rest = raw.lstrip(LINE_ENDS).partition(b"\r\n")
        raw = BLANKS.sub(b" ", line) + end + rest
        reading = h11.Connection(h11.SERVER, max_incomplete_event_size=2 * len(raw) + 1)
        reading.receive_data(raw)
        request = _one(reading)
        # The first words of HTTP/2: what the gateway refuses once all of them have come.
        if request is None or request.method == "PRI":
            return found
        found.append(request)
        if reading.their_state is h11.MUST_CLOSE:
            return found
        raw = reading.trailing_data[0]


def _one(reading: h11.Connection) -> Framed | None:
    head, body = None, bytearray()
    try:
        while True:
            event = reading.next_event()
            if isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                fields = tuple(end_to_end(tuple(head.headers)))
                # The target that proxies are sent names the host once more.
                target = AUTHORITY.sub(b"", head.target)
                target = target if target.startswith((b"/", b"*")) else b"/" + target
                return Framed(head.method.decode(), target, fields, bytes(body))
            else:
                return None
    except h11.RemoteProtocolError:
        return None
