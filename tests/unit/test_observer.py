"""What is seen when somebody does not answer."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from reconciler.core.power import SILENCE_SECONDS
from reconciler.core.recovery import Hints
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.life import Life
from reconciler.fakes.ports import FakeDrivers, FakeGpu, FakeLauncher, ports
from reconciler.fakes.world import World
from reconciler.loop.observer import READ_SECONDS, Observer, remembered
from reconciler.model.facts import Fact
from reconciler.model.gpu import Gpu
from reconciler.model.held_unit import HeldUnit
from reconciler.model.observed import CONTACT, GPU, HEALTH, ORPHANS, POWER, UNIT, Observed
from reconciler.model.records import Instant, SentDown
from reconciler.model.spec import Kind, ModelSpec
from tests.crash.stage import A, B, want
from tests.sample_worlds import HOST, marked, slice_of

LATE = "no answer within 30 s"


class SilentGpu(FakeGpu):
    """Never answer."""

    async def gpu(self) -> Fact[Gpu]:
        await anyio.sleep_forever()
        return await super().gpu()


class SilentLauncher(FakeLauncher):
    """Never answer."""

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        await anyio.sleep_forever()
        return await super().units(former)


def seen(parts: FakeDrivers) -> tuple[World, Observed]:
    world = World(TurnedClock())
    readers = ports(world, want("a"), Life(), parts)
    return world, world.clock.run(Observer(readers, want("a"), world.clock).everything)


def test_a_host_is_silent_only_while_its_network_answers() -> None:
    """A controller whose cable was out learns nothing of a host that accepted and hangs."""
    world = World(TurnedClock())
    world.watched = False
    asked = Instant(at=world.clock.wall(), boot_id="boot", boot=world.clock.now)
    sent = SentDown(state="off", run=1, asked=asked, boot_id=world.boot_id)
    observer = Observer(
        ports(world, want("a"), Life()), want("a"), world.clock, remembered(Hints(sent_down=sent))
    )

    def judged(before: Observed, seconds: float) -> Observed:
        world.clock.now += seconds
        return world.clock.run(observer.look, [POWER(HOST)], before)

    world.unseen = {"contact": "the cable is out", "canary": "the cable is out"}
    out = judged(judged(Observed(), 0), 2 * SILENCE_SECONDS)
    world.unseen = {"contact": "it has not answered yet"}
    back = judged(out, 1)
    assert back.unknown(POWER(HOST)) is not None
    assert judged(judged(back, SILENCE_SECONDS - 1), 0).power(HOST) is None
    assert judged(judged(back, SILENCE_SECONDS - 1), 1).power(HOST) == "off"


def test_a_reader_that_never_answers_is_unknown_and_hides_no_other() -> None:
    world, observed = seen(FakeDrivers(gpu=SilentGpu))
    unknown = observed.unknown(GPU(HOST))
    assert unknown is not None
    assert unknown.reason == LATE
    assert observed.value(CONTACT(HOST)) is not None
    assert world.clock.now == 1000 + READ_SECONDS


class SilentSystemd(FakeLauncher):
    """Answer for processes, and never for services."""

    @property
    def needs_definition(self) -> bool:
        return self.kind == "systemd"

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        if self.kind == "systemd":
            await anyio.sleep_forever()
        return await super().units(former)


def test_a_launcher_that_never_answers_hides_its_own_models_and_no_others() -> None:
    world = World(TurnedClock())
    service = B.model_copy(update={"launcher": Kind(kind="systemd")})
    both = slice_of(("a", "b"), A, service)
    world.start(A, marked(A))
    readers = ports(world, both, Life(), FakeDrivers(launcher=SilentSystemd))
    observed = world.clock.run(Observer(readers, both, world.clock).everything)
    seen = observed.value(UNIT(HOST, "a"))
    assert seen is not None
    assert seen.mark == marked(A)
    assert observed.value(HEALTH(HOST, "a")) is not None
    assert observed.value(ORPHANS(HOST)) == ()
    hidden = observed.unknown(UNIT(HOST, "b"))
    assert hidden is not None
    assert hidden.reason == LATE


def test_units_that_are_not_told_leave_engines_unknown() -> None:
    _, observed = seen(FakeDrivers(launcher=SilentLauncher))
    for kind in (UNIT, HEALTH):
        unknown = observed.unknown(kind(HOST, "a"))
        assert unknown is not None
        assert LATE in unknown.reason
