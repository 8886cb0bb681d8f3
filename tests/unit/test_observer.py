"""What is seen when somebody does not answer."""

from __future__ import annotations

import anyio

from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.life import Life
from reconciler.fakes.ports import FakeGpu, FakeLauncher, Parts, ports
from reconciler.fakes.world import World
from reconciler.loop.observer import READ_SECONDS, Observer
from reconciler.model.facts import Contact, Fact, FactKey, Gpu, Observed, Unit
from tests.crash.stage import want
from tests.worlds import HOST

LATE = "no answer within 30 s"


class SilentGpu(FakeGpu):
    """Never answer."""

    async def gpu(self) -> Fact[Gpu]:
        await anyio.sleep_forever()
        return await super().gpu()


class SilentLauncher(FakeLauncher):
    """Never answer."""

    async def units(self) -> Fact[tuple[Unit, ...]]:
        await anyio.sleep_forever()
        return await super().units()


def seen(parts: Parts) -> tuple[World, Observed]:
    world = World(TurnedClock())
    readers = ports(world, want("a"), Life(), parts)
    return world, world.clock.run(Observer(readers, want("a"), world.clock).everything)


def test_a_reader_that_never_answers_is_unknown_and_hides_nobody_else() -> None:
    world, observed = seen(Parts(gpu=SilentGpu))
    unknown = observed.unknown(FactKey("gpu", HOST))
    assert unknown is not None
    assert unknown.reason == LATE
    assert observed.value(FactKey("contact", HOST), Contact) is not None
    assert world.clock.now == 1000 + READ_SECONDS


def test_units_that_are_not_told_leave_engines_unknown() -> None:
    _, observed = seen(Parts(launcher=SilentLauncher))
    for kind in ("unit", "health"):
        unknown = observed.unknown(FactKey(kind, HOST, "a"))
        assert unknown is not None
        assert LATE in unknown.reason
