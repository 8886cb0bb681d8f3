"""Beckoning: a model is wanted there, by a client that asks nothing of it yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.gateway.held_request import HeldRequest

if TYPE_CHECKING:
    from reconciler.gateway.head import Refusal
    from reconciler.gateway.seat import Seat


class Beckoning:
    """Waits for a seat in the place of a request, until it opens or that is in vain."""

    def __init__(self, seat: Seat, by: str, request: str) -> None:
        """Take the seat, and the names of a key and of a request."""
        self._seat, self.by, self.request = seat, by, request

    def begin(self) -> None:
        """Wait, unless the model is there or is waited for already."""
        if self._seat.identity is None and not self._seat.is_awaited:
            HeldRequest(self).begin(self._seat)

    def admitted(self) -> None:
        """Take that it is there: from now on it counts as used."""
        self._seat.begin()
        self._seat.end()

    def turned_away(self, refusal: Refusal) -> None:
        """Take that it will not be: who asks for it next is told why."""
