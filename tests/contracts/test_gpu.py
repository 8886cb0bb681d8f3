"""What every reader of accelerators promises: a world's, and the drivers' over a stand-in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from reconciler.drivers.gpus import auto, none, nvidia
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.host import FakeHost
from reconciler.fakes.life import Life
from reconciler.fakes.ports import FakeGpu
from reconciler.fakes.world import World
from reconciler.model.facts import Known, Unknown
from reconciler.model.gpu import GIB, Gpu
from tests import nvml
from tests.rig import value
from tests.unit.test_nvidia import host_with

if TYPE_CHECKING:
    from reconciler.ports import GpuReader

PLACES = ("world", "nvidia", "auto")


class Accelerators(Protocol):
    """The accelerators of a host, and what happens to them by itself."""

    reader: GpuReader

    def take(self, size: int) -> int:
        """Let a process take memory of the first card; return its pid."""
        ...

    def give_back(self, pid: int) -> None:
        """Let a process end."""
        ...

    def fail(self) -> None:
        """Let them not be seen any more."""
        ...

    def fix(self) -> None:
        """Let them be seen again."""
        ...


class InWorld:
    """The accelerators of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.memory_bytes = 24 * GIB
        self.reader: GpuReader = FakeGpu(FakeHost(world, Life()))

    def take(self, size: int) -> int:
        process = self.world.stranger()
        process.nature = replace(process.nature, memory_bytes=size)
        return process.identity.pid

    def give_back(self, pid: int) -> None:
        (process,) = (one for one in self.world.processes if one.identity.pid == pid)
        process.ends_at = self.world.clock.now

    def fail(self) -> None:
        self.world.unseen["gpu"] = "the driver does not answer"

    def fix(self) -> None:
        del self.world.unseen["gpu"]


class OfNvidia:
    """The accelerators of a library."""

    def __init__(self, kind: str) -> None:
        self.library = nvml.two()
        access = host_with("/dev/nvidia0", "/dev/dri/renderD128")
        driver: Any = {"nvidia": nvidia, "auto": auto}[kind]
        self.reader: GpuReader = driver.Driver(driver.Options(), access, self.library.loaded)

    def take(self, size: int) -> int:
        self.library.cards[0].computes[nvml.SERVER] = size
        return nvml.SERVER

    def give_back(self, pid: int) -> None:
        del self.library.cards[0].computes[pid]

    def fail(self) -> None:
        self.library.cards[-1].handle = nvml.GPU_IS_LOST

    def fix(self) -> None:
        self.library.cards[-1].handle = nvml.OK


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def anyio_backend(place: str, clock: TurnedClock) -> tuple[str, dict[str, Any]]:
    """Let the waits of a world take no time."""
    return "asyncio", {"loop_factory": clock.loop} if place == "world" else {}


@pytest.fixture
def accelerators(place: str, clock: TurnedClock) -> Accelerators:
    return InWorld(World(clock)) if place == "world" else OfNvidia(place)


async def seen(accelerators: Accelerators) -> Gpu:
    gpu: Gpu = value(await accelerators.reader.gpu())
    assert [card.index for card in gpu.cards] == list(range(len(gpu.cards)))
    assert all(0 <= card.free <= card.total for card in gpu.cards)
    return gpu


async def test_cards_are_seen_as_they_are_and_as_often_as_they_are_looked_at(
    accelerators: Accelerators,
) -> None:
    gpu = await seen(accelerators)
    assert gpu.cards[0].holders == ()
    assert gpu.total == sum(card.total for card in gpu.cards) > 0
    assert await seen(accelerators) == gpu


async def test_who_takes_memory_is_named_and_what_is_free_is_less_by_it(
    accelerators: Accelerators,
) -> None:
    before = await seen(accelerators)
    pid = accelerators.take(10 * GIB)
    gpu = await seen(accelerators)
    assert [(holder.pid, holder.bytes) for holder in gpu.cards[0].holders] == [(pid, 10 * GIB)]
    assert before.cards[0].free - gpu.cards[0].free == 10 * GIB
    assert gpu.cards[1:] == before.cards[1:]


async def test_what_is_given_back_is_free_again_and_nobodys(accelerators: Accelerators) -> None:
    before = await seen(accelerators)
    accelerators.give_back(accelerators.take(10 * GIB))
    assert await seen(accelerators) == before


async def test_what_cannot_be_seen_is_unknown_with_a_reason_until_it_can(
    accelerators: Accelerators,
) -> None:
    before = await seen(accelerators)
    accelerators.fail()
    fact = await accelerators.reader.gpu()
    assert isinstance(fact, Unknown)
    assert len(fact.reason) > 10
    accelerators.fix()
    assert await seen(accelerators) == before


async def test_where_nothing_is_looked_after_there_are_no_cards() -> None:
    nothing = (
        none.Driver(none.Options(), host_with()),
        auto.Driver(auto.Options(), host_with(), nvml.busy().loaded),
    )
    assert [await reader.gpu() for reader in nothing] == [Known(Gpu()), Known(Gpu())]
