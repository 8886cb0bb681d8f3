"""An actor that refuses, lies, breaks off or hangs is not believed, and its harm is undone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.errors import Barred
from reconciler.fakes.engine import FakeEngine
from reconciler.fakes.journal import MemoryJournal
from reconciler.fakes.ports import FakeDrivers, FakeGpu, FakePower
from reconciler.fakes.world import Fault
from reconciler.model.facts import Activity, Fact, Unit
from reconciler.model.gpu import Gpu
from reconciler.model.records import Retry
from reconciler.ports import Evidence
from tests.crash import stories  # noqa: F401 - adds them
from tests.crash.sleepers import is_off
from tests.crash.stage import Stage
from tests.crash.story import STORIES, TEA, Story, remembers, serves
from tests.crash.test_every_boundary import check

FAULTS: tuple[Fault, ...] = ("refuses", "lies", "late", "hangs")
OUTCOMES = {
    "claims": ("claim_lost", ("refused", "refused", "refused", "refused"), remembers(TEA)),
    "prefetch": ("switch_back", ("applied", "applied", "applied", "applied"), remembers(TEA)),
    "stop": (
        "switch_back",
        ("rolled_back", "rolled_back", "applied", "rolled_back"),
        remembers(TEA),
    ),
    "start": ("switch_back", ("stalled", "stalled", "applied", "stalled"), remembers(TEA)),
    "restore": ("switch_back", ("applied", "applied", "applied", "applied"), serves("a")),
    "save": ("switch", ("applied", "applied", "applied", "applied"), serves("b")),
    "shutdown": ("power_off", ("stalled", "stalled", "applied", "stalled"), is_off),
    "wake": ("power_on", ("stalled", "stalled", "applied", "stalled"), remembers(TEA)),
}
CASES = [
    (actor, fault, OUTCOMES[actor][1][number])
    for actor in OUTCOMES
    for number, fault in enumerate(FAULTS)
]


@pytest.mark.parametrize(("actor", "fault", "outcome"), CASES)
def test_an_actor_that_does_not_do_its_work_is_seen_through(
    actor: str, fault: Fault, outcome: str
) -> None:
    name, _, over = OUTCOMES[actor]
    stage = STORIES[name].begin()
    stage.world.faults[actor] = fault
    before = stage.world.serving()
    _, verdict = stage.command()
    assert verdict is not None
    assert verdict.outcome == outcome
    assert stage.world.violations == []
    if outcome == "rolled_back":
        assert set(stage.world.serving()) == set(before)
    fixed(stage, over)


class Fragile(FakeEngine):
    """Let a look into the slots of `a` kill its engine."""

    async def activity(self, unit: Unit) -> Fact[Activity]:
        if self.model.name == "a" and "a" in self.host.world.serving():
            self.host.world.crash("a")
        return await super().activity(unit)


def test_an_engine_that_is_always_gone_again_is_not_started_for_ever() -> None:
    stage = STORIES["switch_back"].begin()
    stage.parts = FakeDrivers(engine=Fragile)
    life, verdict = stage.command()
    assert verdict is not None
    assert (verdict.outcome, verdict.message) == (
        "rolled_back",
        "start a: it was started 3 times in this run, and was gone each time",
    )
    assert life.acts.count("start") == 4
    assert list(stage.world.serving()) == ["b"]


class Flickering(FakeGpu):
    """Show memory that is still coming back as free at every other look."""

    def _memory(self) -> Gpu:
        card = super()._memory().cards[0]
        held = sum(holder.bytes or 0 for holder in card.holders)
        free = card.total - held if self.host.life.calls.count("gpu") % 2 else card.free
        return Gpu(cards=(card.model_copy(update={"free": free}),))


def test_memory_that_comes_back_is_believed_when_it_was_seen_twice() -> None:
    stage = STORIES["tight_memory"].begin()
    stage.parts = FakeDrivers(gpu=Flickering)
    stage.ends("applied")
    assert stage.world.violations == []


class Locked(FakePower):
    """Let nobody in who wakes the host."""

    async def wake(self, attempt: int) -> Evidence:
        await super().wake(attempt)
        raise Barred("the BMC does not accept the password")


def test_a_wake_whose_password_is_refused_is_tried_once_and_ends_at_once() -> None:
    stage = STORIES["power_on"].begin()
    stage.parts, stage.world.faults["wake"] = FakeDrivers(power=Locked), "lies"
    began = stage.world.clock.boot()
    life, verdict = stage.command()
    assert verdict is not None
    assert (verdict.outcome, verdict.message) == (
        "stalled",
        "wake box: the BMC does not accept the password",
    )
    assert life.acts.count("wake") == 1
    assert stage.world.clock.boot() - began < 1.0


def fixed(stage: Stage, over: Callable[[Stage], None]) -> None:
    """Let every actor do its work again, forget the failure and apply."""
    stage.world.faults.clear()
    assert isinstance(stage.journal, MemoryJournal)
    stage.journal.append(Retry(host="box"))
    check(Story(lambda: stage, over), stage, ())
