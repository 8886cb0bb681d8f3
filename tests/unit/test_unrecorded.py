"""While nothing can be recorded, requests still reach what serves, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from reconciler.fakes.engine import FakeEngine
from reconciler.fakes.life import Life, MortalJournal
from reconciler.fakes.ports import ALL_FAKE, ports
from reconciler.gateway.seats import Seats
from reconciler.loop import unrecorded
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.ports_cache import PortsCache
from reconciler.model.facts import Claim
from reconciler.model.spec import Slice
from reconciler.ports import HostPorts
from tests.crash.stage import Stage, serving_a
from tests.gateway_stand import ROUTES
from tests.sample_worlds import HOST, ME, raised


class DialledEngine(FakeEngine):
    """An engine whose port can be dialled."""

    @asynccontextmanager
    async def dial(self, port: int) -> AsyncIterator[str]:
        yield f"http://127.0.0.1:{port}"


def admitted(stage: Stage, wanted: Slice, engine: type[FakeEngine] = DialledEngine) -> set[str]:
    """Return whom requests may reach, after nothing could be recorded."""
    seats, rows = Seats(stage.world.clock.boot), stage.kept()
    seats.route(ROUTES)

    def made(slice_: Slice) -> HostPorts:
        one = ports(stage.world, slice_, Life(), replace(ALL_FAKE, engine=engine))
        return replace(one, gate=seats.gate(HOST))

    context = HostContext(
        PortsCache(made), HintsCache(MortalJournal(rows, Life())), stage.world.clock, ME,
        Interrupt(), stage.said.append, raised,
    )  # fmt: skip
    before = rows.newest()
    stage.world.clock.run(unrecorded.admitted, wanted, context)
    assert rows.newest() == before
    found = {name: seats.of_model(name) for name in ("a", "b")}
    return {name for name, seat in found.items() if seat is not None and seat.identity is not None}


def test_it_reaches_what_serves() -> None:
    stage = serving_a()
    assert admitted(stage, stage.wanted) == {"a"}


def test_what_the_files_define_otherwise_may_be_at_another_port() -> None:
    stage = serving_a()
    others = [one.model_copy(update={"digest": "v1:other"}) for one in stage.wanted.models]
    assert admitted(stage, stage.wanted.model_copy(update={"models": tuple(others)})) == set()


@pytest.mark.parametrize("is_known", [True, False])
def test_a_host_that_is_not_ours_is_left_alone(is_known: bool) -> None:
    stage = serving_a()
    if is_known:
        stage.world.claim = Claim(
            controller="other", name="other", directory="/other", boot="other", at=1.0
        )
    else:
        stage.world.unseen["claim"] = "it is not said"
    assert admitted(stage, stage.wanted) == set()


def test_what_cannot_be_dialled_stays_closed() -> None:
    stage = serving_a()
    assert admitted(stage, stage.wanted, FakeEngine) == set()
