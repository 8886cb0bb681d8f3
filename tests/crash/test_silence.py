"""What becomes of a host that is silent and agreed to go down, where no step waits for that."""

from __future__ import annotations

from reconciler.core.power import SILENCE_SECONDS
from reconciler.fakes.ports import FakeAccess, FakeDrivers, FakePower
from reconciler.loop.interrupt import Interrupt
from reconciler.model import power
from reconciler.model.facts import Contact, Fact
from tests.crash.sleepers import is_off
from tests.crash.stage import Stage, serving_a
from tests.crash.story import wants
from tests.runs import of_host
from tests.sample_worlds import HOST


def unplugged(way: str) -> Stage:
    """Return a stage where a host agreed to go down, stayed up for longer, and lost its power."""
    stage = serving_a()
    stage.world.watched, stage.world.descent = False, "stays"
    wants(stage, "a", power=way).ends("stalled")
    stage.world.descent = "goes"
    stage.world.cut_power()
    stage.world.clock.now += 1000
    return stage


def test_a_command_waits_until_a_silence_that_no_step_waits_for_is_long_enough() -> None:
    stage = unplugged("suspend")
    began = stage.world.clock.boot()
    verdict = wants(stage, "a", power="off").ends("refused")
    assert SILENCE_SECONDS <= stage.world.clock.boot() - began < 2 * SILENCE_SECONDS
    assert verdict.reasons[0].startswith("power of box is suspended: ")
    assert stage.said[-1].startswith("power box is not known: it accepted to go down (run ")
    assert stage.said[-1].endswith(
        "is silent; 30 s of that while the gateway answers count as down; waiting for that"
    )
    stage.world.reboot()
    stage.ends("applied")
    is_off(stage)


def test_a_silence_that_was_waited_for_is_not_waited_for_again() -> None:
    stage = unplugged("off")
    wants(stage, "a").ends("in_sync")
    began = stage.world.clock.boot()
    stage.ends("in_sync")
    assert stage.world.clock.boot() - began < SILENCE_SECONDS


class SwitchedOn(FakePower):
    """A host that is switched on while its silence is waited for."""

    async def canary(self) -> Fact[power.Canary]:
        if self.host.life.calls.count("canary") == 5:
            self.host.world.reboot()
        return await super().canary()


def test_a_host_that_is_switched_on_while_its_silence_is_waited_for_is_looked_at_again() -> None:
    stage = unplugged("suspend")
    stage.parts = FakeDrivers(power=SwitchedOn)
    life, verdict = wants(stage, "a", power="off").command()
    assert verdict is not None
    assert (verdict.outcome, life.acts) == ("applied", ["shutdown"])
    is_off(stage)


class Disconnected(FakePower):
    """A host whose network goes silent while its silence is waited for."""

    async def canary(self) -> Fact[power.Canary]:
        if self.host.life.calls.count("canary") == 5:
            self.host.world.unseen["canary"] = "10.0.0.1 does not answer"
        return await super().canary()


def test_silence_is_not_waited_for_once_the_network_is_silent_too() -> None:
    stage = unplugged("suspend")
    stage.parts = FakeDrivers(power=Disconnected)
    began = stage.world.clock.boot()
    (reason,) = wants(stage, "a", power="off").ends("refused").reasons
    assert reason.endswith("but so is its network: 10.0.0.1 does not answer")
    assert stage.world.clock.boot() - began < SILENCE_SECONDS


def test_a_wait_for_silence_ends_when_it_is_interrupted() -> None:
    interrupt = Interrupt()

    class Impatient(FakePower):
        async def canary(self) -> Fact[power.Canary]:
            if self.host.life.calls.count("canary") == 5:
                interrupt.request("interrupted by Ctrl-C", "rollback")
            return await super().canary()

    stage = unplugged("suspend")
    stage.interrupt, stage.parts = interrupt, FakeDrivers(power=Impatient)
    rows, began = stage.kept().rows(), stage.world.clock.boot()
    verdict = wants(stage, "a", power="off").ends("interrupted")
    assert verdict.message == "interrupted by Ctrl-C"
    assert stage.world.clock.boot() - began < SILENCE_SECONDS
    assert stage.kept().rows() == rows


class GoneMeanwhile(FakeAccess):
    """A host that is down by the time that the step begins which was to wait for that."""

    async def contact(self) -> Fact[Contact]:
        if "appended run-opened" in self.host.life.calls:
            self.host.world.cut_power()
        return await super().contact()


def test_a_host_that_is_down_before_it_is_waited_for_is_known_to_be_so_when_the_run_ends() -> None:
    stage = wants(serving_a(), "a", power="off")
    stage.command("appended accepted")
    stage.parts = FakeDrivers(access=GoneMeanwhile)
    stage.ends("applied")
    rows = stage.kept().rows()
    sent = of_host(rows, HOST).sent_down
    assert sent is not None
    assert sent.seen == "its socket says so"
    stage.parts = FakeDrivers()
    stage.ends("in_sync")
    assert stage.kept().rows() == rows, "nothing is left to be told of what has ended"
