"""Client's connection: requests are read whole, one after the other, and answered in that order."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from reconciler.gateway.counts import Passage
from reconciler.gateway.head import Refusal
from reconciler.gateway.judged import UNAUTHORIZED
from reconciler.gateway.keys import NOBODY
from reconciler.gateway.reading import RequestReader
from reconciler.gateway.seats import ENDING
from reconciler.gateway.tunnel import join
from reconciler.gateway.visitor import Visitor
from reconciler.gateway.wording import error_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.gateway.answer_head import AnswerHead
    from reconciler.gateway.answering import Answering, Underway
    from reconciler.gateway.clients import Clients
    from reconciler.gateway.doorkeeper import Doorkeeper
    from reconciler.gateway.engine import EngineConnection
    from reconciler.gateway.judged import AdmittedRequest
    from reconciler.gateway.naming import Spoken

    Make = Callable[[Answering, AdmittedRequest, bytes], Underway]

MOST_AHEAD = 64 * 1024
"""How much of the next requests is read while one is answered; then the client has to wait."""

HIGH_WATER = 64 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
JSON = b"Content-Type: application/json\r\n"
AGAIN = b"Retry-After: 1\r\n"
FINAL = b"x-should-retry: false\r\n"
"""What OpenAI's and Anthropic's SDKs heed."""

BESIDE: Mapping[int, bytes] = {
    HTTPStatus.SERVICE_UNAVAILABLE: AGAIN,
    HTTPStatus.TOO_MANY_REQUESTS: AGAIN,
    HTTPStatus.UNAUTHORIZED: b'WWW-Authenticate: Bearer, Basic realm="reconciler"\r\n',
}
"""What an error says beside its body."""

PATIENCE_SECONDS = 10.0
SLOWEST_BODY = 1024
"""Seconds for a head, and the bytes of a body that buy one more."""

IDLE_SECONDS = 75.0
LINGER_SECONDS = 2.0
STALLED_SECONDS = 600.0
"""How long a client may read nothing while more waits for it: no model's place is held for it."""

FIRST_SECONDS = 1.0
"""How long a connection that is new when the gateway ends may take for its first request."""

LET_OUT = Refusal(UNAUTHORIZED, "its key was removed, changed or has expired while it went on")
LADEN = Refusal(503, "the gateway holds as many bytes of requests as it may; ask again")


class ClientConnection(asyncio.Protocol):
    """A connection of a client to the gateway."""

    __slots__ = (
        "_ahead", "_beside", "_busy", "_chunked", "_clients", "_closes", "_doorkeeper", "_exchange",
        "_gathered", "_held", "_is_bodiless", "_keeps", "_lingers", "_loop", "_make", "_paused",
        "_reader", "_requester", "_since", "_transport", "_version", "address", "passage",
    )  # fmt: skip

    _reader: RequestReader

    def __init__(self, make: Make, doorkeeper: Doorkeeper, clients: Clients) -> None:
        """Answer who is let in; `make` makes what answers. It is among `clients` while open."""
        self._make, self._doorkeeper, self._clients = make, doorkeeper, clients
        # Asked for once: it is a system call each time (Python 3.11).
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._ahead = bytearray()
        self._exchange: Underway | None = None
        self._busy = self._closes = self._chunked = self._is_bodiless = False
        self._version, self._keeps = "1.1", True
        self._beside = b""
        self._requester = NOBODY
        self._since = 0.0
        self._lingers = False
        self._paused: float | None = None
        self._held = 0
        self._gathered: list[bytes] | None = None
        self.passage = Passage(b"", self._loop.time, 0.0)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(HIGH_WATER)
        entry = self._doorkeeper.entry(transport)
        self._reader = RequestReader(Visitor(self._doorkeeper, entry), self._welcome)
        self.address = "" if entry.door.is_local else entry.address
        if not self._clients.has_room(self.address):
            self._transport.abort()
            return
        self._since = self._loop.time()
        self._clients.opened(self)

    def data_received(self, received: bytes) -> None:
        """Parse what comes, or keep it while an answer is under way."""
        if self._closes:
            return
        if not self._busy and self._paused is None:
            self._feed(received)
            return
        # Reading goes on while an engine thinks: only so a client that leaves is noticed.
        self._ahead += received
        if len(self._ahead) > MOST_AHEAD and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way: its client has gone."""
        _ = exc
        is_gone, self._closes = not self._closes, True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.cancel()
            self._over(is_gone=is_gone)
        self._busy = False
        self._hold(0)
        self._clients.closed(self)
        self._reader.close()
        # Python's transports raise where one that has flushed its last bytes is aborted.
        self._transport = None

    def pause_writing(self) -> None:
        """Let the engine wait."""
        self._paused = self._loop.time()
        if self._exchange is not None:
            self._exchange.pause(paused=True)

    def resume_writing(self) -> None:
        """Let the engine go on."""
        self._paused = None
        if self._exchange is not None:
            self._exchange.pause(paused=False)
        elif not self._busy:
            self._read_on()

    def _feed(self, received: bytes) -> None:
        begun = self._reader.begun
        self._reader.feed(received)
        if self._reader.begun > begun:
            self._since = self._loop.time()
        if self._reader.is_reading:
            self._hold(self._reader.weight)
            if self._clients.is_laden:
                self._reader.fail(LADEN)
        self._next()

    def _hold(self, size: int) -> None:
        """Count what is held of bodies here."""
        self._clients.bodies += size - self._held
        self._held = size

    def _welcome(self) -> None:
        """Tell that the body may come, unless it would stand inside another answer."""
        if not self._busy:
            self.write(CONTINUE)

    def _next(self) -> None:
        """Answer the next whole request, if none is under way."""
        while self._reader.whole and not self._busy:
            told, body, self._keeps, self._version = self._reader.whole.pop(0)
            self.passage = Passage(told.name, self._loop.time, self._since)
            found, self._beside, self._busy = told.found, told.lines, True
            if isinstance(found, Refusal):
                self._is_bodiless = told.is_head
                self._keeps = self._keeps and not told.closes
                if told.delay:
                    self._loop.call_later(told.delay, self.refuse, found, told.spoken)
                else:
                    self.refuse(found, told.spoken)
                return
            self.passage.comes_in(found.entered.entrance.shape, found.requester.name)
            self._is_bodiless = told.is_head
            self._hold(len(body) + self._reader.weight)
            if body and self._clients.is_laden:
                self.refuse(LADEN, told.spoken)
                return
            self._requester = found.requester
            self._exchange = self._make(self, found, body)
            self._exchange.begin()

    # What an exchange calls.

    def answer(self, status: int, reason: bytes, lines: bytes, length: bytes | None = None) -> None:
        """Write the head of an answer, with the lines of its fields.

        The length of its body, which they do not tell, decides how the pieces of that are framed;
        None where it is not known.
        """
        self.passage.status = status
        self._keeps = self._keeps and not self._clients.is_leaving
        is_open = length is None and not self._is_bodiless and status not in {204, 304}
        self._chunked = is_open and self._version != "1.0"
        if is_open and not self._chunked:
            self._keeps = False
        framed = b"" if length is None else b"Content-Length: %b\r\n" % length
        if self._chunked:
            framed = b"Transfer-Encoding: chunked\r\n"
        end = b"\r\n" if self._keeps else b"Connection: close\r\n\r\n"
        first = b"HTTP/1.1 %d %b\r\n" % (status, reason)
        self.write(b"".join((first, lines, self._beside, framed, end)))

    def write_piece(self, piece: bytes) -> None:
        """Write a piece of a body; the answer to a HEAD has none."""
        if not self._is_bodiless:
            self.passage.size += len(piece)
            self.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)

    def end_body(self) -> None:
        """End the body, and with it the answer."""
        if self._chunked:
            self.write(b"0\r\n\r\n")
        self.done()

    def join(self, engine: EngineConnection, head: AnswerHead, first: bytes) -> None:
        """Answer that another protocol is spoken from here on, and let all bytes through."""
        theirs, ours = self._transport, engine.transport
        if theirs is None or ours is None or theirs.is_closing():
            return
        self.passage.status, self._chunked = head.status, False
        line = b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)
        self.write(b"".join((line, head.lines, self._beside, b"\r\n", first)))
        self.flush()
        ours.write(self._reader.left + self._ahead)
        join(self, theirs, engine, ours)

    def gather(self) -> None:
        """Keep what is written from now on: sending costs more than all else that a piece takes."""
        self._gathered = []

    def flush(self) -> None:
        """Send what was kept, at once, and whatever follows as it comes."""
        gathered, self._gathered = self._gathered, None
        if gathered:
            self.write(b"".join(gathered))

    def write(self, piece: bytes) -> None:
        """Write to the client, if it is still there."""
        if self._gathered is not None:
            self._gathered.append(piece)
        # uvloop's transports raise where something is written after an abort.
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.write(piece)

    def refuse(self, refusal: Refusal, spoken: Spoken) -> None:
        """Answer with an error, in the words of a protocol."""
        self.passage.refusal = refusal.status
        more = FINAL if refusal.is_final else BESIDE.get(refusal.status, b"")
        if refusal.again is not None:
            more += b"Retry-After: %d\r\n" % refusal.again
        self._answer_whole(refusal.status, error_body(refusal, spoken), more)

    def tell(self, content: bytes) -> None:
        """Answer with JSON of the gateway's own."""
        self._answer_whole(HTTPStatus.OK, content, b"")

    def _answer_whole(self, status: int, body: bytes, more: bytes) -> None:
        reason = HTTPStatus(status).phrase.encode()
        self.answer(status, reason, JSON + more, b"%d" % len(body))
        # The answer to a HEAD has the head of one with a body, and none.
        self.write(b"" if self._is_bodiless else body)
        self.done()

    def done(self) -> None:
        """End an answer; go on with the next request, or close."""
        self._exchange = None
        self._over(is_gone=False)
        self._hold(0)
        if not self._keeps or self._closes:
            self.close()
            return
        self._since = self.passage.ended
        if self._reader.whole or self._ahead:
            # Not at once: a thousand requests that are all refused would be a thousand calls deep.
            self._loop.call_soon(self._go_on)
        else:
            self._busy = False

    def _over(self, *, is_gone: bool) -> None:
        self.passage.ends(is_gone=is_gone)
        self._clients.counts.take(self.passage)

    def _go_on(self) -> None:
        self._busy = False
        # Who reads none of the answers is given no more: they would pile up here.
        if self._paused is None:
            self._read_on()

    def _read_on(self) -> None:
        if self._closes:
            return
        # One after the other, too: requests that were read take more room than their bytes.
        if self._ahead and not self._reader.whole:
            ahead, self._ahead = bytes(self._ahead), bytearray()
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
            self._feed(ahead)
        else:
            self._next()

    def abort(self) -> None:
        """Cut the connection: the answer cannot be ended properly, or is not read to its end."""
        self._closes = True
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close when all that was written has gone out."""
        if self._closes:
            return
        self._closes, self._since = True, self._loop.time()
        self.flush()
        if self._transport is None or self._transport.is_closing():
            return
        if self._reader.is_deaf:
            # What the client still sends is dropped unread for a while: if it met a closed socket,
            # its own system would throw the answer away.
            self._lingers = True
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._transport.close()

    # What all connections are told.

    def leave(self) -> None:
        """Close once nothing is owed to the client; one that is new may still ask."""
        if self._exchange is not None and self._exchange.is_endless:
            self.cut()
        elif not self._busy and not self._reader.is_reading and self._reader.begun:
            self.close()

    def cut(self) -> None:
        """End what is under way with an error, and close: this process ends."""
        self._end(ENDING)

    def _end(self, why: Refusal) -> None:
        self._keeps = False
        if self._exchange is not None:
            self._exchange.cut(why)
        else:
            self.close()

    @property
    def _farewell_seconds(self) -> float:
        is_told = self._transport is None or not self._transport.get_write_buffer_size()
        return LINGER_SECONDS if self._lingers and is_told else STALLED_SECONDS

    def sweep(self, now: float) -> None:
        """Close a connection on which nothing happens, or too slowly."""
        silent = now - self._since
        is_stalled = self._paused is not None and now - self._paused > STALLED_SECONDS
        if is_stalled or (self._closes and silent > self._farewell_seconds):
            self.abort()
        lasts = self._exchange is not None and self._exchange.lasts
        if lasts and not self._doorkeeper.still_lets_in(self._requester):
            self._end(LET_OUT)
        if self._busy or self._paused is not None:
            return
        longest = FIRST_SECONDS if self._clients.is_leaving else IDLE_SECONDS
        if self._reader.is_reading and silent > PATIENCE_SECONDS + self._reader.held / SLOWEST_BODY:
            self._reader.fail(Refusal(408, "the request did not come within its time"))
            self._next()
        elif not self._reader.is_reading and silent > longest:
            self.close()
