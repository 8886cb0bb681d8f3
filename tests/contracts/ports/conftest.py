"""A world and a host with each server, to which the same promises of ports are put."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.world import World
from tests import running
from tests.contracts.benches import Bench, bench_of
from tests.engine import SERVERS, Server


@pytest.fixture(params=[None, *SERVERS], ids=lambda one: str(one or "world"))
def place(request: pytest.FixtureRequest) -> Server | None:
    return cast("Server | None", request.param)


@pytest.fixture
def world() -> World:
    return World(TurnedClock())


@pytest.fixture
def anyio_backend(place: Server | None, world: World) -> tuple[str, dict[str, Any]]:
    """Let the waits of a world take no time."""
    return "asyncio", {"loop_factory": world.clock.loop} if place is None else {}


@pytest.fixture
def bench(place: Server | None, world: World, tmp_path: Path) -> Iterator[Bench]:
    with running.ending_all():
        yield bench_of(place, world, tmp_path)
    assert {wrong for wrong in world.violations if "without its intent" not in wrong} == set()
