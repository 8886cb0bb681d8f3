"""Stories of containers of our own, which are made before they are started."""

from __future__ import annotations

from reconciler.fakes.ports import FakeDrivers, FakeLauncher
from reconciler.model.facts import Mark
from reconciler.model.spec import Kind, ModelSpec, Slice
from reconciler.ports import Evidence
from tests.crash.stage import POWER, TALK, A, B, Stage
from tests.crash.story import keeps_on_disk, remembers, serves, story
from tests.sample_worlds import slice_of

DOCKER = Kind(kind="docker")


class InTwoSteps(FakeLauncher):
    """A launcher that can be cut short between making what it starts and starting it."""

    async def start(self, model: ModelSpec, mark: Mark) -> Evidence:
        if self.kind == DOCKER.kind:
            await self.host.act("make", lambda: None)
        return await super().start(model, mark)


def contained(*active: str, process: str = "") -> Slice:
    """Want models that are containers, but for one that is a process."""
    models = [
        one if one.name == process else one.model_copy(update={"launcher": DOCKER})
        for one in (A, B)
    ]
    return slice_of(active, *models, capabilities=POWER)


def serving(wanted: Slice) -> Stage:
    """Return a stage where a serves, was found good, and holds a conversation."""
    stage = Stage(parts=FakeDrivers(launcher=InTwoSteps), wanted=wanted)
    stage.ends("applied")
    stage.world.talk("a", TALK)
    stage.world.clock.now += 60
    return stage


def all_contained(stage: Stage) -> None:
    remembers(TALK)(stage)
    assert [one.launcher for one in stage.world.units()] == [DOCKER.kind]


@story(serves("a"))
def first_container() -> Stage:
    return Stage(parts=FakeDrivers(launcher=InTwoSteps), wanted=contained("a"))


@story(keeps_on_disk("b"))
def process_to_container() -> Stage:
    stage = serving(contained("a", process="a"))
    stage.wanted = contained("b", process="a")
    return stage


@story(all_contained)
def back_to_a_container() -> Stage:
    stage = serving(contained("a"))
    stage.wanted = contained("b")
    stage.ends("applied")
    stage.wanted = contained("a")
    return stage
