"""Engine's connection: one answer at a time, read by the parser and passed on piece by piece."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import httptools

if TYPE_CHECKING:
    from reconciler.gateway.head import Field

HIGH_WATER = 64 * 1024
FINAL = 200
"""Statuses below it announce that another follows."""

BODILESS = {204, 304}


class AnswerHead(NamedTuple):
    """The head of an engine's answer."""

    status: int
    reason: bytes
    fields: tuple[Field, ...]


class Listener(Protocol):
    """Who waits for an answer."""

    def on_read(self) -> None:
        """Take that what is told from now on came at once."""

    def on_told(self) -> None:
        """Take that all of it was told."""

    def on_head(self, head: AnswerHead) -> None:
        """Take the head."""

    def on_piece(self, piece: bytes) -> None:
        """Take a piece of the body."""

    def on_end(self, *, reusable: bool) -> None:
        """Take that the answer is whole."""

    def on_lost(self, reason: str) -> None:
        """Take that the connection ended before the answer was whole."""


class EngineConnection(asyncio.Protocol):
    """A connection to an engine; `send` begins an exchange, and its listener hears the answer."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._listener: Listener | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._head = AnswerHead(0, b"", ())
        self._fields: list[Field] = []
        self._reason = b""
        self._bodiless = self._until_closed = False
        self.used = 0

    @property
    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    def send(self, listener: Listener, request: bytes, *, bodiless: bool) -> None:
        """Send a whole request; `bodiless`: its answer has no body, whatever its head says."""
        self._listener, self._bodiless = listener, bodiless
        self._parser = httptools.HttpResponseParser(self)
        self.used += 1
        if self._transport is not None:
            self._transport.write(request)

    def abort(self) -> None:
        """End the connection at once; its listener is told nothing more."""
        self._listener = None
        # uvloop's transports raise where something is written or ended after an abort.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()

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
        """Parse what came; what came unasked ends the connection."""
        listener = self._listener
        if listener is None or self._parser is None:
            self.abort()
            return
        listener.on_read()
        try:
            self._parser.feed_data(received)
        except httptools.HttpParserError as error:
            self._lose(f"its answer is not HTTP: {error}")
        except httptools.HttpParserUpgrade:
            self._lose("it changed the protocol, which was not asked for")
        finally:
            listener.on_told()

    def eof_received(self) -> None:
        """Let the transport close, which tells the listener."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer that ends with the connection; any other was cut."""
        if self._until_closed and exc is None:
            self._end(reusable=False)
        else:
            self._lose(str(exc) if exc else "it closed the connection")

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin an answer; one that nobody waits for was not asked for."""
        self._fields, self._reason = [], b""
        self._until_closed = False

    def on_status(self, reason: bytes) -> None:
        """Keep the words beside the status."""
        self._reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Pass the head on, unless it only says that more will come."""
        if self._parser is None or self._listener is None:
            return
        status = self._parser.get_status_code()
        if status < FINAL:
            return
        self._head = AnswerHead(status, self._reason, tuple(self._fields))
        names = {name.lower() for name, _ in self._fields}
        framed = bool(names & {b"content-length", b"transfer-encoding"})
        self._bodiless = self._bodiless or status in BODILESS
        self._until_closed = not framed and not self._bodiless
        self._listener.on_head(self._head)
        if self._bodiless:
            # The parser would wait for a body that a HEAD only announces.
            self._end(reusable=False)

    def on_body(self, piece: bytes) -> None:
        """Pass a piece on."""
        if self._listener is not None:
            self._listener.on_piece(piece)

    def on_message_complete(self) -> None:
        """End the answer."""
        if self._parser is not None and self._head.status >= FINAL:
            # Only here is it right: asked later, the parser always says no.
            self._end(reusable=self._parser.should_keep_alive())

    def _end(self, *, reusable: bool) -> None:
        listener, self._listener, self._parser = self._listener, None, None
        self._head, self._until_closed = AnswerHead(0, b"", ()), False
        if listener is not None:
            listener.on_end(reusable=reusable)

    def _lose(self, reason: str) -> None:
        listener = self._listener
        self.abort()
        if listener is not None:
            listener.on_lost(reason)
