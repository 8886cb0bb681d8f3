"""A gate that stands open for a unit which is gone is closed, and no other."""

from __future__ import annotations

import pytest

from reconciler.gateway.seats import Seats
from reconciler.loop import stale_gates
from reconciler.model.facts import Fact, Known, Unit, Unknown
from reconciler.model.observed import ADMITTING, UNIT
from reconciler.model.traffic import Admitting
from reconciler.ports import EngineWay
from tests.gateway_stand import ROUTES
from tests.sample_worlds import HOST, identity, model, slice_of, unit, world

SLICE = slice_of(("a",), model("a"), model("b"))
OPEN = Admitting(identity=unit("a").identity)


@pytest.mark.parametrize(
    ("found", "gate", "closed"),
    [
        (Known(unit("a")), Known(OPEN), False),
        (Known(None), Known(OPEN), True),
        (Known(unit("a", leader=False)), Known(OPEN), True),
        (Known(unit("a")), Known(Admitting(identity=identity(99))), True),
        (Known(None), Known(Admitting()), False),
        (Unknown("the launcher is silent"), Known(OPEN), False),
        (Known(None), Unknown("the gate is silent"), False),
    ],
    ids=["runs", "gone", "ended", "another", "closed", "not known", "no answer"],
)
async def test_a_gate_is_closed_where_its_unit_is_certainly_gone(
    found: Fact[Unit | None], gate: Fact[Admitting], closed: bool
) -> None:
    seats = Seats(lambda: 0.0)
    seats.route(ROUTES)
    gate_of_host = seats.gate(HOST)
    await gate_of_host.admit("a", unit("a").identity, EngineWay("http://127.0.0.1:1", 1))
    seen = world(SLICE).seeing({UNIT(HOST, "a"): found, ADMITTING(HOST, "a"): gate})
    seen = seen.seeing({ADMITTING(HOST, "b"): Known(Admitting())})
    await stale_gates.close(gate_of_host, SLICE, seen)
    seat = seats.of_model("a")
    assert seat is not None
    assert (seat.identity is None) == closed
