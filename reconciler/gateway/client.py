"""Client's connection: requests are read whole, one after the other, and answered in that order."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from reconciler.gateway.doorkeeper import AdmittedRequest, Judged
from reconciler.gateway.exchange import Exchange
from reconciler.gateway.head import LARGEST_HEAD, Refusal, Request, RequestHead
from reconciler.gateway.wording import error_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.gateway.clients import Clients
    from reconciler.gateway.doorkeeper import Doorkeeper
    from reconciler.gateway.head import Field
    from reconciler.gateway.naming import Spoken
    from reconciler.gateway.seats import Seats

LARGEST_BODY = 32 * 1024 * 1024
MOST_AHEAD = 64 * 1024
"""How much of the next requests is read while one is answered; then the client has to wait."""

HIGH_WATER = 64 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
AGAIN = [(b"Retry-After", b"1")]
BESIDE: Mapping[int, Sequence[Field]] = {
    HTTPStatus.SERVICE_UNAVAILABLE: AGAIN,
    HTTPStatus.TOO_MANY_REQUESTS: AGAIN,
    HTTPStatus.UNAUTHORIZED: [(b"WWW-Authenticate", b'Bearer, Basic realm="reconciler"')],
}
"""What an error says beside its body."""

PATIENCE_SECONDS = 10.0
SLOWEST_BODY = 1024
"""Seconds for a head, and the bytes of a body that buy one more."""

IDLE_SECONDS = 75.0
FIRST_SECONDS = 1.0
"""How long a connection that is new when the gateway ends may take for its first request."""


class ClientConnection(asyncio.Protocol):
    """A connection of a client to the gateway."""

    def __init__(self, seats: Seats, doorkeeper: Doorkeeper, clients: Clients) -> None:
        """Answer who is let in, by `seats`; it is among `clients` while it is open."""
        self._seats, self._doorkeeper, self._clients = seats, doorkeeper, clients
        # Asked for once: it is a system call each time (Python 3.11).
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._ahead = bytearray()
        self._whole: deque[tuple[Judged, bytes, bool, str]] = deque()
        self._exchange: Exchange | None = None
        self._busy = self._closes = self._chunked = self._is_bodiless = False
        self._version, self._keeps = "1.1", True
        self._beside: Sequence[Field] = ()
        self._since = 0.0
        self._is_new, self._is_reading = True, False
        self._gathered: list[bytes] | None = None
        self._begin_message()

    def _begin_message(self) -> None:
        self._target, self._fields = b"", list[tuple[bytes, bytes]]()
        self._head_size, self._body = 0, bytearray()
        self._judged: Judged | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(HIGH_WATER)
        if self._clients.is_full:
            self._transport.abort()
            return
        self._entry = self._doorkeeper.entry(transport)
        self._since = self._loop.time()
        self._clients.opened(self)

    def data_received(self, received: bytes) -> None:
        """Parse what comes, or keep it while an answer is under way."""
        if self._closes:
            return
        if not self._busy:
            self._feed(received)
            return
        # Reading goes on while an engine thinks: only so a client that leaves is noticed.
        self._ahead += received
        if len(self._ahead) > MOST_AHEAD and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way: its client has gone."""
        _ = exc
        self._closes = True
        if self._exchange is not None:
            self._exchange.cancel()
        self._busy = False
        self._clients.closed(self)

    def pause_writing(self) -> None:
        """Let the engine wait."""
        if self._exchange is not None:
            self._exchange.pause(paused=True)

    def resume_writing(self) -> None:
        """Let the engine go on."""
        if self._exchange is not None:
            self._exchange.pause(paused=False)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begin_message()
        self._is_new = False
        self._is_reading, self._since = True, self._loop.time()

    def on_url(self, url: bytes) -> None:
        """Keep a piece of the target."""
        self._target += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field."""
        self._fields.append((name, value))
        self._grow(len(name) + len(value))

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > LARGEST_HEAD:
            raise _TooLarge

    def on_headers_complete(self) -> None:
        """Judge the head before anything of the body is taken."""
        head = RequestHead(
            self._parser.get_method(),
            self._target,
            self._parser.get_http_version(),
            tuple(self._fields),
        )
        self._judged = self._doorkeeper.judge(head, self._entry)
        if isinstance(self._judged.found, AdmittedRequest):
            self._announced(self._judged.found.request)

    def _announced(self, request: Request) -> None:
        if request.length is not None and request.length > LARGEST_BODY:
            self._judged = TOO_LARGE
        elif request.expects and not self._busy and not self._whole:
            self.write(CONTINUE)

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        if self._is_refused:
            return
        self._body += piece
        if len(self._body) > LARGEST_BODY:
            self._judged = TOO_LARGE
            self._body.clear()

    def on_message_complete(self) -> None:
        """Take a whole request; it waits for those before it."""
        self._is_reading = False
        # Only here it is right: asked later, the parser always says no.
        keeps = self._parser.should_keep_alive()
        if self._judged is not None:
            version = self._parser.get_http_version()
            self._whole.append((self._judged, bytes(self._body), keeps, version))
        self._body = bytearray()

    def _feed(self, received: bytes) -> None:
        try:
            self._parser.feed_data(received)
        except httptools.HttpParserUpgrade:
            # It asked for another protocol, which is not offered here: the request is answered.
            self._closes = True
        except _TooLarge:
            self._broken(Refusal(431, f"the head is larger than {LARGEST_HEAD} bytes"))
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _TooLarge):
                raise
            self._broken(Refusal(431, f"the head is larger than {LARGEST_HEAD} bytes"))
        except httptools.HttpParserError as error:
            self._broken(Refusal(400, f"this is not HTTP: {error}"))
        if self._judged is not None and self._is_refused and not self._whole:
            # Its body is not waited for; what follows cannot be told from it.
            self._whole.append((self._judged, b"", False, "1.1"))
        self._next()

    @property
    def _is_refused(self) -> bool:
        return self._judged is not None and isinstance(self._judged.found, Refusal)

    def _broken(self, refusal: Refusal) -> None:
        self._whole.append((Judged(refusal, closes=True), b"", False, "1.1"))

    def _next(self) -> None:
        """Answer the next whole request, if none is under way."""
        while self._whole and not self._busy:
            told, body, self._keeps, self._version = self._whole.popleft()
            found, self._beside, self._busy = told.found, told.fields, True
            if isinstance(found, Refusal):
                self._is_bodiless = told.is_head
                self._keeps = self._keeps and not told.closes
                if told.delay:
                    self._loop.call_later(told.delay, self.refuse, found, told.spoken)
                else:
                    self.refuse(found, told.spoken)
                return
            self._is_bodiless = found.request.method == "HEAD"
            self._exchange = Exchange(self, found, body, self._seats)
            self._exchange.begin()

    # What an exchange calls.

    def answer(self, status: int, reason: bytes, fields: Sequence[Field]) -> None:
        """Write the head of an answer, which decides how the pieces of its body are framed."""
        self._keeps = self._keeps and not self._clients.is_leaving
        framed = any(name.lower() == b"content-length" for name, _ in fields)
        is_empty = status in {204, 304}
        chunked = not framed and not is_empty and self._version != "1.0"
        if not framed and not chunked and not is_empty:
            self._keeps = False
        lines = [f"HTTP/1.1 {status} ".encode() + reason]
        lines += [name + b": " + value for name, value in (*fields, *self._beside)]
        lines += [b"Transfer-Encoding: chunked"] if chunked else []
        lines += [] if self._keeps else [b"Connection: close"]
        self.write(b"\r\n".join([*lines, b"", b""]))
        self._chunked = chunked

    def write_piece(self, piece: bytes) -> None:
        """Write a piece of a body."""
        self.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)

    def end_body(self) -> None:
        """End the body, and with it the answer."""
        if self._chunked:
            self.write(b"0\r\n\r\n")
        self.done()

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
        more = BESIDE.get(refusal.status, ())
        self._answer_whole(refusal.status, error_body(refusal, spoken), more)

    def tell(self, content: bytes) -> None:
        """Answer with JSON of the gateway's own."""
        self._answer_whole(HTTPStatus.OK, content, [])

    def _answer_whole(self, status: int, body: bytes, more: Sequence[Field]) -> None:
        length = str(len(body)).encode()
        fields = [(b"Content-Type", b"application/json"), (b"Content-Length", length), *more]
        self.answer(status, HTTPStatus(status).phrase.encode(), fields)
        # The answer to a HEAD has the head of one with a body, and none.
        self.write(b"" if self._is_bodiless else body)
        self.done()

    def done(self) -> None:
        """End an answer; go on with the next request, or close."""
        self._exchange = None
        if not self._keeps or self._closes:
            self.close()
            return
        if self._whole or self._ahead:
            # Not at once: a thousand requests that are all refused would be a thousand calls deep.
            self._loop.call_soon(self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._busy = False
        self._since = self._loop.time()
        if self._closes:
            return
        ahead, self._ahead = bytes(self._ahead), bytearray()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        if ahead:
            self._feed(ahead)
        else:
            self._next()

    def abort(self) -> None:
        """Cut the connection: the answer cannot be ended properly."""
        self._closes = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()

    def close(self) -> None:
        """Close when all that was written has gone out."""
        self._closes = True
        self.flush()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    # What all connections are told.

    def leave(self) -> None:
        """Close once nothing is owed to the client; one that is new may still ask."""
        if not self._busy and not self._is_reading and not self._is_new:
            self.close()

    def cut(self) -> None:
        """End what is under way with an error, and close."""
        self._keeps = False
        if self._exchange is not None:
            self._exchange.cut()
        else:
            self.close()

    def sweep(self, now: float) -> None:
        """Close a connection on which nothing happens, or too slowly."""
        if self._busy:
            return
        silent = now - self._since
        longest = FIRST_SECONDS if self._clients.is_leaving else IDLE_SECONDS
        if self._is_reading and silent > PATIENCE_SECONDS + len(self._body) / SLOWEST_BODY:
            self._is_reading = False
            self._broken(Refusal(408, "the request did not come within its time"))
            self._next()
        elif not self._is_reading and silent > longest:
            self.close()


class _TooLarge(Exception):
    """The head of a request is larger than is taken."""


TOO_LARGE = Judged(
    Refusal(413, f"the body is larger than {LARGEST_BODY // 1024 // 1024} MiB"), closes=True
)
