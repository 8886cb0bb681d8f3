"""Candidates: which of the models that share a name takes a request."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.gateway.seat import Seat

TO_BRING_IN = 3


def best(seats: Iterable[Seat]) -> Seat | None:
    """The one that answers soonest, of those that are alike the one with the least to do."""
    return min(seats, key=_rank, default=None)


def _rank(seat: Seat) -> tuple[int, float, bool, int, str]:
    place, has_to_do = _place(seat), seat.in_flight + seat.waiting
    # Where each has to be brought in first, a host that sleeps may still be the quicker one.
    wait = seat.arrives_in if place == TO_BRING_IN else 0.0
    return place, wait, not seat.route.active, has_to_do, seat.route.model


def _place(seat: Seat) -> int:
    if seat.is_open:
        return 0
    # It is full, or makes way for another: to bring yet another model in would take longer.
    if seat.identity is not None:
        return 1
    if seat.refusal() is not None:
        return TO_BRING_IN + 1
    return 2 if seat.is_on_its_way else TO_BRING_IN
