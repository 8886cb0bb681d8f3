"""The ports of a host last as long as its definitions do, whatever is wanted of it meanwhile."""

from __future__ import annotations

from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.life import Life
from reconciler.fakes.ports import ports
from reconciler.fakes.world import World
from reconciler.loop.ports_cache import PortsCache
from reconciler.model.spec import Slice
from reconciler.ports import HostPorts
from tests.sample_worlds import model, slice_of

A, MOVED = model("a"), model("a", port=8081)


def test_ports_are_made_anew_only_for_other_definitions_and_two_of_them_last() -> None:
    made: list[Slice] = []

    def make(slice_: Slice) -> HostPorts:
        made.append(slice_)
        return ports(World(TurnedClock()), slice_, Life())

    lasting = PortsCache(make)
    first = lasting(slice_of(("a",), A, power="on"))
    other = lasting(slice_of(("a",), MOVED))
    assert lasting(slice_of((), A, power="off")) is first
    assert lasting(slice_of(None, MOVED)) is other is not first
    lasting(slice_of(("a",), A, model("b")))
    assert lasting(slice_of(("a",), A)) is not first
    assert len(made) == 4
