"""Tunnel: bytes both ways between a client and an engine that speak another protocol by now."""

from __future__ import annotations

import asyncio


class TunnelEnd(asyncio.Protocol):
    """One of the two connections: what it hears goes to the other, as fast as that takes it."""

    def __init__(self, before: asyncio.Protocol, other: asyncio.Transport) -> None:
        """Take the place of a protocol, which hears of the end."""
        self._before, self._other = before, other

    def data_received(self, received: bytes) -> None:
        """Pass on what came."""
        if not self._other.is_closing():
            self._other.write(received)

    def pause_writing(self) -> None:
        """Let the other side wait; whose protocol it was knows for how long it may."""
        self._before.pause_writing()
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        """Let it go on."""
        self._before.resume_writing()
        if not self._other.is_closing():
            self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for it, and who ends the other."""
        self._before.connection_lost(exc)


def join(
    client: asyncio.Protocol,
    client_side: asyncio.Transport,
    engine: asyncio.Protocol,
    engine_side: asyncio.Transport,
) -> None:
    """Make a tunnel of two connections."""
    client_side.set_protocol(TunnelEnd(client, engine_side))
    engine_side.set_protocol(TunnelEnd(engine, client_side))
    for side in (client_side, engine_side):
        side.resume_reading()
