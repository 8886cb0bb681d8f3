"""Answers: as the gateway reads those of an engine, and as h11 does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple, cast

import h11

from reconciler.gateway.answer_head import NO_HEAD, AnswerHead
from reconciler.gateway.engine import EngineConnection
from tests.fuzz.transport import Deaf

LOST = "lost"
REUSABLE = "reusable"
MORE = "waits for more"


EMPTY_LINES = re.compile(rb"\A((?:HTTP/1\.\d 1\d\d.*\r\n(?:.+\r\n)*\r\n)+)[\r\n]+(?=HTTP)")
"""Those that follow an answer which announces another: they mean nothing, and h11 refuses them."""


class Answer(NamedTuple):
    """One answer, as whoever reads it understands it, and what becomes of its connection."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    end: str


class Asker:
    """Who waits for an answer, and asks again at once where the connection may be used again."""

    def __init__(self) -> None:
        self.head = NO_HEAD
        self.length: bytes | None = None
        self.body = bytearray()
        self.end = MORE

    def on_read(self) -> None: ...

    def on_told(self) -> None: ...

    def on_head(self, head: AnswerHead, length: bytes | None) -> None:
        assert self.end == MORE, "a head after the end"
        self.head, self.length = head, length

    def on_piece(self, piece: bytes) -> None:
        assert self.end == MORE, "a piece after the end"
        self.body += piece

    def on_end(self, *, reusable: bool) -> None:
        assert self.end == MORE, "a second end"
        self.end = REUSABLE if reusable else "whole"

    def on_lost(self, reason: str) -> None:
        assert self.end == MORE, "lost after the end"
        assert reason
        self.end = LOST

    def on_upgraded(self, head: AnswerHead, first: bytes) -> None:
        raise AssertionError("nobody asked for another protocol")

    @property
    def answer(self) -> Answer:
        length = [] if self.length is None else [(b"content-length", self.length)]
        fields = compared([*self.head.fields, *length])
        return Answer(self.head.status, fields, bytes(self.body), self.end)


def compared(fields: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """Fields as they are compared: the order of their names means nothing, and h11 tells a coding
    in lower case.
    """
    named = [(name.lower(), value.strip(b" \t")) for name, value in fields]
    told = [one for one in named if one[0] != b"transfer-encoding"]
    return tuple(sorted(told, key=itemgetter(0)))


def read(pieces: Iterable[bytes], *, bodiless: bool = False, first: bytes = b"") -> Answer:
    """The answer that the gateway reads; at the end of the bytes the connection is closed.

    `first` is the answer to what was asked before, over the same connection.
    """
    connection, asker = EngineConnection(), Asker()
    connection.connection_made(cast("asyncio.Transport", Deaf()))
    if first:
        before = Asker()
        connection.send(before, b"", bodiless=False)
        connection.data_received(first)
        assert before.end == REUSABLE, first
    connection.send(asker, b"", bodiless=bodiless)
    for piece in pieces:
        if not connection.is_closing:
            connection.data_received(piece)
    if not connection.is_closing and asker.end == MORE:
        connection.connection_lost(None)
    return asker.answer


def by_h11(raw: bytes, *, bodiless: bool = False) -> Answer | None:
    """The answer that h11 reads, None where it refuses it or it is not whole."""
    asking = h11.Connection(h11.CLIENT, max_incomplete_event_size=2 * len(raw) + 1)
    method = "HEAD" if bodiless else "GET"
    asking.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    asking.send(h11.EndOfMessage())
    asking.receive_data(EMPTY_LINES.sub(rb"\1", raw.lstrip(b"\r\n")))
    head, body, is_closed = None, bytearray(), False
    try:
        while True:
            event = asking.next_event()
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return Answer(head.status_code, compared(head.headers), bytes(body), "whole")
            elif event is h11.NEED_DATA and not is_closed:
                is_closed = True
                asking.receive_data(b"")
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None
