"""A gate that stands open for a unit which is gone or lost its port is closed, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.recovery import Hints
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.journal import MemoryJournal
from reconciler.fakes.life import Life, MortalJournal
from reconciler.fakes.ports import ports
from reconciler.fakes.world import World
from reconciler.gateway.seats import Seats
from reconciler.loop import stale_gates
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.ports_cache import PortsCache
from reconciler.model.facts import Fact, Health, Known, Phase, Unit, UnitIdentity, Unknown
from reconciler.model.observed import ADMITTING, HEALTH, UNIT
from reconciler.model.spec import Slice
from reconciler.model.traffic import Admitting
from reconciler.ports import EngineWay, HostPorts
from tests.gateway_stand import ROUTES
from tests.sample_worlds import (
    HOST,
    ME,
    PORT_NUMBER,
    identity,
    marked,
    model,
    raised,
    slice_of,
    unit,
    world,
)

SLICE = slice_of(("a",), model("a"), model("b"))
OPENED = unit("a").identity
OPEN = Admitting(identity=OPENED)


async def admitted(unit_: UnitIdentity = OPENED) -> Seats:
    seats = Seats(lambda: 0.0)
    seats.route(ROUTES)
    await seats.gate(HOST).admit("a", unit_, EngineWay("http://127.0.0.1:1", 1))
    return seats


def let_through(seats: Seats) -> UnitIdentity | None:
    seat = seats.of_model("a")
    assert seat is not None
    return seat.identity


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
    seats = await admitted()
    seen = world(SLICE).seeing({UNIT(HOST, "a"): found, ADMITTING(HOST, "a"): gate})
    seen = seen.seeing({ADMITTING(HOST, "b"): Known(Admitting())})
    await stale_gates.close(seats.gate(HOST), SLICE, seen)
    assert (let_through(seats) is None) == closed


@pytest.mark.parametrize(
    ("phase", "closed"), [("ready", False), ("unresponsive", False), ("stranger", True)]
)
async def test_a_gate_is_closed_where_a_stranger_listens_on_the_port(
    phase: Phase, closed: bool
) -> None:
    seats = await admitted()
    health = Health(phase=phase, identity=unit("a").identity)
    seen = world(SLICE).seeing(
        {
            UNIT(HOST, "a"): Known(unit("a")),
            HEALTH(HOST, "a"): Known(health),
            ADMITTING(HOST, "a"): Known(OPEN),
        }
    )
    await stale_gates.close(seats.gate(HOST), SLICE, seen)
    assert (let_through(seats) is None) == closed


def test_every_look_that_a_plan_is_made_from_closes_it_within_a_run_too() -> None:
    here = World(TurnedClock())

    async def looked() -> UnitIdentity | None:
        started = here.start(model("a"), marked(model("a"))).identity
        seats = await admitted(started)

        def given(slice_: Slice) -> HostPorts:
            return replace(ports(here, slice_, Life()), gate=seats.gate(HOST))

        journal = MortalJournal(MemoryJournal(here.clock), Life(), here.noted)
        context = HostContext(
            PortsCache(given), HintsCache(journal), here.clock, ME, Interrupt(), print, raised
        )
        await context.look(SLICE, Hints())
        assert let_through(seats) == started
        here.crash("a")
        here.stranger(PORT_NUMBER)
        await context.look(SLICE, Hints())
        return let_through(seats)

    assert here.clock.run(looked) is None
