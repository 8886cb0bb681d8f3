"""Engine's connection: one answer at a time, read by the parser and passed on piece by piece."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from reconciler.gateway.answer_head import (
    CODING,
    NO_PRECEDENT,
    answer_head,
    codings,
    fault,
    precedent,
)
from reconciler.gateway.head import LARGEST_HEAD

if TYPE_CHECKING:
    from reconciler.gateway.answer_head import AnswerHead
    from reconciler.gateway.head import Field
    from reconciler.gateway.known_head import Sized

HIGH_WATER = 64 * 1024
SWITCHING = 101
FINAL = 200
"""Statuses below it announce that another follows."""

BODILESS = {204, 304}
FAREWELL_SECONDS = 5.0
"""How long an engine may take to read what its client said last in another protocol."""


class Listener(Protocol):
    """Who waits for an answer."""

    def on_read(self) -> None:
        """Take that what is told from now on came at once."""

    def on_told(self) -> None:
        """Take that all of it was told."""

    def on_head(self, head: AnswerHead, length: bytes | None) -> None:
        """Take the head, which may be that of another answer but for this length."""

    def on_piece(self, piece: bytes) -> None:
        """Take a piece of the body."""

    def on_end(self, *, reusable: bool) -> None:
        """Take that the answer is whole."""

    def on_lost(self, reason: str) -> None:
        """Take that the connection ended before the answer was whole."""

    def on_upgraded(self, head: AnswerHead, first: bytes) -> None:
        """Take that another protocol is spoken from here on, of which these bytes came first."""


class EngineConnection(asyncio.Protocol):
    """A connection to an engine; `send` begins an exchange, and its listener hears the answer."""

    __slots__ = (
        "_bodiless", "_broken", "_ended", "_fields", "_found", "_fresh", "_has_head", "_listener",
        "_may_upgrade", "_owed", "_parser", "_pieces", "_precedent", "_reason", "_transport",
        "_until_closed", "heard", "used",
    )  # fmt: skip

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._listener: Listener | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._has_head = False
        self._fields: list[Field] = []
        self._reason = self._fresh = b""
        self._precedent, self._owed = NO_PRECEDENT, 0
        self._found: tuple[AnswerHead, bytes | None] | None = None
        self._pieces: list[bytes] = []
        self._bodiless = self._until_closed = self._may_upgrade = False
        self._ended: bool | None = None
        self._broken = ""
        self.heard = self.used = 0
        """How many bytes of the answer came until its head was whole, and how often it was used."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """What it sends through."""
        return self._transport

    @property
    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    @property
    def _is_read(self) -> bool:
        """Whether what comes is still of the answer that was asked for."""
        return self._ended is None and not self._broken

    def send(
        self, listener: Listener, request: bytes, *, bodiless: bool, may_upgrade: bool = False
    ) -> None:
        """Send a whole request; `bodiless`: its answer has no body, whatever its head says."""
        self._listener, self._bodiless, self._may_upgrade = listener, bodiless, may_upgrade
        self._parser = None
        self._has_head, self._ended, self._broken = False, None, ""
        self._until_closed, self._owed = False, 0
        self._found, self._pieces = None, []
        self.heard, self.used = 0, self.used + 1
        if self._transport is not None:
            self._transport.write(request)

    def abort(self) -> None:
        """End the connection at once; its listener is told nothing more."""
        self._listener = None
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the connection when all that was sent has gone out; its listener is told no more."""
        self._listener = None
        if self._transport is not None:
            self._transport.close()
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self.abort)

    def pause(self) -> None:
        """Read nothing more for a while: the client is slower than the engine."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(HIGH_WATER)

    def data_received(self, received: bytes) -> None:
        """Parse what came, then tell it; what came unasked ends the connection."""
        listener = self._listener
        if listener is None:
            self.abort()
            return
        had_head = self._has_head
        if not had_head:
            self.heard += len(received)
        self._read(received)
        if had_head and self._is_read:
            self._tell_body(listener)
            return
        # What came at once goes on at once: its head with its body, its last piece with its end.
        listener.on_read()
        try:
            self._tell(listener)
        finally:
            listener.on_told()

    def _tell(self, listener: Listener) -> None:
        found, self._found = self._found, None
        if found is not None:
            listener.on_head(*found)
        self._tell_body(listener)
        if self._ended is not None:
            self._end(reusable=self._ended and not self._broken)
        elif self._broken:
            self._lose(self._broken)

    def _tell_body(self, listener: Listener) -> None:
        pieces, self._pieces = self._pieces, []
        # Who hears of it may have ended it.
        if pieces and self._listener is listener:
            listener.on_piece(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _read(self, received: bytes) -> None:
        if self._owed:
            self._read_body(received)
        elif self._parser is None and (found := self._known(received)) is not None:
            self._owed, digits, size = found
            self._has_head, self._found = True, (self._precedent.head, digits)
            self._read_body(received[size:])
        else:
            self._parse(received)

    def _known(self, received: bytes) -> Sized | None:
        """The head at the front of what came, if it is the last one, but for its length."""
        may_be = not self._has_head and not self._bodiless and not self._may_upgrade
        return self._precedent.known.found(received) if may_be else None

    def _read_body(self, received: bytes) -> None:
        """Read what came behind a head that was known."""
        piece = received[: self._owed]
        self._owed -= len(piece)
        if piece:
            self.on_body(piece)
        if not self._owed:
            # What came behind it came unasked.
            self._ended = len(piece) == len(received)

    def _parse(self, received: bytes) -> None:
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
            self._fresh = received
        try:
            self._parser.feed_data(received)
        except httptools.HttpParserError as error:
            self._broken = f"its answer is not HTTP: {error}"
        except httptools.HttpParserUpgrade as found:
            self._upgrade(received[found.args[0] :])
        if not self._has_head and self.heard > LARGEST_HEAD:
            self._broken = f"the head of its answer is larger than {LARGEST_HEAD} bytes"

    def _upgrade(self, first: bytes) -> None:
        if not self._may_upgrade or self._broken or self._listener is None:
            self._broken = self._broken or "it changed the protocol, which was not asked for"
            return
        self._has_head = True
        head = answer_head(SWITCHING, self._reason, self._fields)
        self._listener.on_upgraded(head, first)

    def eof_received(self) -> None:
        """End at once: the transport would first wait until all of the request has gone out."""
        self._over(None)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer that ends with the connection; any other was cut."""
        # Python's transports raise where one that has flushed its last bytes is aborted.
        self._transport = None
        self._over(exc)

    def _over(self, exc: Exception | None) -> None:
        if self._until_closed and exc is None:
            self._end(reusable=False)
        else:
            self._lose(str(exc) if exc else "it closed the connection")

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin an answer; one that nobody waits for makes all that follows suspect."""
        if self._ended is not None:
            self._ended = False
        self._fields, self._reason = [], b""

    def on_status(self, reason: bytes) -> None:
        """Keep the words beside the status."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; behind the body they are dropped."""
        if not self._has_head:
            self._fields.append((name, value))
        elif name.lower() == CODING and self._is_read:
            self._broken = "its answer tells its transfer coding behind its body"

    def on_headers_complete(self) -> None:
        """Pass the head on, unless it only says that more will come."""
        if self._parser is None or self._listener is None or not self._is_read:
            return
        status, fresh, self._fresh = self._parser.get_status_code(), self._fresh, b""
        head = answer_head(status, self._reason, self._fields)
        self._broken = fault(head)
        if self._broken or status < FINAL:
            return
        self._fields = []
        self._bodiless = self._bodiless or status in BODILESS
        is_framed = codings(head) or head.length is not None
        self._until_closed = not is_framed and not self._bodiless
        self._precedent = NO_PRECEDENT if self._bodiless else precedent(head, fresh)
        self._has_head, self._found = True, (head, head.length)
        if self._bodiless:
            # The parser would wait for a body that a HEAD only announces.
            self._ended = False

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body until all that came is parsed."""
        if self._ended is None and not self._broken:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Take that the answer is whole."""
        if self._parser is not None and self._has_head and self._is_read:
            # Only here is it right: asked later, the parser always says no.
            self._ended = self._parser.should_keep_alive()
            if not self._ended:
                self._precedent = NO_PRECEDENT

    def _end(self, *, reusable: bool) -> None:
        listener, self._listener, self._parser = self._listener, None, None
        if listener is not None:
            listener.on_end(reusable=reusable)

    def _lose(self, reason: str) -> None:
        listener = self._listener
        self.abort()
        if listener is not None:
            listener.on_lost(reason)
