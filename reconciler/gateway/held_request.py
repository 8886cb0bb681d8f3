"""Held request: it waits for its model, and sends signs of life to a client that streams."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reconciler.gateway.head import Refusal
from reconciler.gateway.wording import keep_alive

if TYPE_CHECKING:
    from reconciler.gateway.answering import Answering
    from reconciler.gateway.naming import Spoken
    from reconciler.gateway.seat import Seat, Waiter

HEAD_SECONDS = 5.0
BEAT_SECONDS = 10.0
"""Browsers, proxies and SDKs take 10 s without a byte, and 25 s of silence, for the end."""

EVENT_STREAM = [
    (b"Content-Type", b"text/event-stream"),
    (b"Cache-Control", b"no-cache"),
    (b"X-Accel-Buffering", b"no"),
]


class HeldRequest:
    """One request's place in the queue of a seat."""

    def __init__(self, waiter: Waiter, client: Answering, spoken: Spoken) -> None:
        self._waiter, self._client, self._spoken = waiter, client, spoken
        self._seat: Seat | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._since: float | None = None
        self._began = 0.0
        self.has_answered = False

    def begin(self, seat: Seat, *, streams: bool) -> None:
        """Wait for a seat; one that has waited before, for any, keeps its turn and its end."""
        loop = asyncio.get_running_loop()
        self._seat, before = seat, self._since
        self._since = seat.wait(self, before)
        if self._since is None:
            self._turn_away(429, f"too many requests wait for {seat.route.model} already")
            return
        if before is None:
            self._began = loop.time()
        self._timers = [loop.call_at(self._began + seat.route.max_wait, self._late)]
        if streams:
            self._timers.append(loop.call_later(HEAD_SECONDS, self._beat))

    def end(self) -> None:
        """Leave the queue."""
        seat, self._seat = self._seat, None
        if seat is not None:
            seat.leave(self)
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    def admitted(self) -> None:
        """Let the request go."""
        self.end()
        self._waiter.admitted()

    def turned_away(self, refusal: Refusal) -> None:
        """Tell why it cannot go."""
        self.end()
        self._waiter.turned_away(refusal)

    def _turn_away(self, status: int, reason: str) -> None:
        self.turned_away(Refusal(status, reason))

    def _late(self) -> None:
        if self._seat is not None:
            route, because = self._seat.route, self._seat.because
            self._turn_away(
                503, f"{route.model} is not ready after {route.max_wait:g} s: {because}"
            )

    def _beat(self) -> None:
        """Send a sign of life, after the head of the answer that will come."""
        if not self.has_answered:
            self._client.answer(200, b"OK", EVENT_STREAM)
            self.has_answered = True
        self._client.write_piece(keep_alive(self._spoken))
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(BEAT_SECONDS, self._beat))
