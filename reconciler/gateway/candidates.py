"""Candidates: which of the models that share a name takes a request."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.gateway.seat import Seat


def best(seats: Iterable[Seat]) -> Seat | None:
    """The one that answers soonest, of those that are alike the one with the least to do."""
    return min(seats, key=_rank, default=None)


def _rank(seat: Seat) -> tuple[int, bool, int, str]:
    return _place(seat), not seat.route.active, seat.in_flight + seat.waiting, seat.route.model


def _place(seat: Seat) -> int:
    if seat.is_open:
        return 0
    # It is full, or makes way for another: to bring yet another model in would take longer.
    if seat.identity is not None:
        return 1
    if seat.refusal() is not None:
        return 5
    if seat.is_on_its_way:
        return 2
    return 4 if seat.rests else 3
