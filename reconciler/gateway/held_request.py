"""Held request: it waits for its model, for so long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reconciler.gateway.head import Refusal

if TYPE_CHECKING:
    from reconciler.gateway.line import Waiter
    from reconciler.gateway.seat import Seat


class HeldRequest:
    """One request's place in the queue of a seat."""

    def __init__(self, waiter: Waiter) -> None:
        self._waiter, self.by, self.request = waiter, waiter.by, waiter.request
        self._seat: Seat | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._since: float | None = None
        self._began = 0.0
        self.milliseconds = 0
        """How long it waited, once it goes on."""

    def begin(self, seat: Seat) -> None:
        """Wait for a seat; one that has waited before, for any, keeps its turn and its end."""
        loop = asyncio.get_running_loop()
        self._seat, before = seat, self._since
        self._since = seat.wait(self, before)
        if self._since is None:
            self._turn_away(429, f"too many requests wait for {seat.route.model} already")
            return
        if before is None:
            self._began = loop.time()
        self._timer = loop.call_at(self._began + seat.route.max_wait, self._late)

    def end(self) -> None:
        """Leave the queue."""
        seat, self._seat = self._seat, None
        if seat is not None:
            seat.leave(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def admitted(self) -> None:
        """Let the request go."""
        self.milliseconds = int(1000 * (asyncio.get_running_loop().time() - self._began))
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
