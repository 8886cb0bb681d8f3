"""The stories that are cut short at every call: how each begins, and what holds when it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.core.canonical import digest
from reconciler.fakes.ports import FakeDrivers, FakeLauncher
from reconciler.fakes.processes import Chatter, Nature
from reconciler.model.facts import Claim, Fact, Unit
from reconciler.model.held_unit import HeldUnit
from reconciler.model.records import RunClosed, StepIntent
from reconciler.model.spec import Kind, ModelSpec
from reconciler.ports import Evidence
from tests.crash import containers, fresh, lenders, sleepers  # noqa: F401 - add their stories
from tests.crash.stage import POWER, A, B, Stage, serving_a, want
from tests.crash.story import CAKE, TEA, keeps_on_disk, remembers, serves, story, wants
from tests.sample_worlds import model, slice_of

GIB = 1024**3
ANOTHER = Claim(controller="another", name="den", directory="/var/lib/another", at=0.0)


def changed(spec: ModelSpec, nature: Nature, stage: Stage) -> ModelSpec:
    """Give a model another command, of an engine of another nature."""
    other = spec.model_copy(update={"digest": digest([spec.digest, "changed"])})
    stage.world.natures[other.digest] = nature
    return other


@story(serves("a"))
def first_start() -> Stage:
    return Stage()


@story(keeps_on_disk("b"))
def switch() -> Stage:
    return wants(serving_a(), "b")


@story(remembers(TEA))
def switch_back() -> Stage:
    stage = wants(serving_a(), "b")
    stage.ends("applied")
    return wants(stage, "a")


def held_by(launcher: str) -> Callable[[Stage], None]:
    def over(stage: Stage) -> None:
        remembers(TEA)(stage)
        assert [one.launcher for one in stage.world.units()] == [launcher]

    return over


@story(held_by("systemd"))
def another_launcher() -> Stage:
    """Its command is the same, so its mark alone would say that it runs as it is defined."""
    stage = serving_a()
    moved = A.model_copy(update={"launcher": Kind(kind="systemd")})
    stage.wanted = slice_of(("a",), moved, B, capabilities=POWER)
    return stage


@story(held_by("process"))
def back_from_another_launcher() -> Stage:
    stage = another_launcher()
    stage.ends("applied")
    return wants(stage, "a")


@story(keeps_on_disk())
def stop_all() -> Stage:
    return wants(serving_a())


@story(remembers(TEA))
def failed_start() -> Stage:
    stage = serving_a()
    stage.world.natures[B.digest] = Nature(dies_after=0.1, log=("error: bad magic",))
    return wants(stage, "b")


@story(remembers(TEA), long=True)
def never_healthy() -> Stage:
    stage = serving_a()
    stage.world.natures[B.digest] = Nature(loads_in=float("inf"))
    return wants(stage, "b")


@story(remembers(TEA))
def death_in_the_trial() -> Stage:
    stage = serving_a()
    stage.world.natures[B.digest] = Nature(dies_after=1.5)
    return wants(stage, "b")


class SeenOnce(FakeLauncher):
    """A launcher whose b ends as soon as it was seen to run, before anything waits for it."""

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        seen = await super().units(former)
        self.host.world.crash("b")
        return seen


def is_started_once_in_a_run(stage: Stage) -> None:
    remembers(TEA)(stage)
    assert stage.journal is not None
    records = [row.record for row in stage.journal.rows()]
    runs = [
        record.run
        for record in records
        if isinstance(record, StepIntent) and (record.step, record.model) == ("start", "b")
    ]
    assert len(runs) == len(set(runs))
    logs = [
        record.log
        for record in records
        if isinstance(record, RunClosed) and record.verdict == "failed"
    ]
    assert logs
    assert all("error: no such device" in log for log in logs)


@story(is_started_once_in_a_run)
def death_before_it_is_waited_for() -> Stage:
    stage = wants(serving_a(), "b")
    stage.world.natures[B.digest] = Nature(log=("error: no such device",))
    stage.parts = FakeDrivers(launcher=SeenOnce)
    return stage


@story(serves())
def failed_first_start() -> Stage:
    stage = Stage()
    stage.world.natures[A.digest] = Nature(dies_after=0.1)
    return stage


@story(serves("a"))
def new_definition() -> Stage:
    stage = serving_a()
    stage.wanted = stage.wanted.model_copy(update={"models": (changed(A, Nature(), stage), B)})
    return stage


@story(remembers(TEA))
def bad_definition() -> Stage:
    stage = serving_a()
    stage.wanted = stage.wanted.model_copy(
        update={"models": (changed(A, Nature(dies_after=0.1), stage), B)}
    )
    stage.wanted = stage.wanted.model_copy(update={"active": ("a",)})
    return wants_back(stage)


def wants_back(stage: Stage) -> Stage:
    """Save the conversation of a before its definition changes, as a switch does."""
    bad, stage.wanted = stage.wanted, want("b")
    stage.ends("applied")
    stage.wanted = want("a")
    stage.ends("applied")
    stage.wanted = bad
    return stage


@story(remembers(TEA))
def dead_engine() -> Stage:
    stage = wants(serving_a(), "b")
    stage.ends("applied")
    wants(stage, "a").ends("applied")
    stage.world.crash("a")
    return stage


@story(serves("a"))
def silent_engine() -> Stage:
    stage = Stage()
    stage.world.natures[A.digest] = Nature(hangs_after=100)
    stage.ends("applied")
    stage.world.clock.now += 100
    stage.world.natures[A.digest] = Nature()
    return stage


def is_the_first_still(stage: Stage) -> None:
    serves("a")(stage)
    assert [one.identity.pid for one in stage.world.units()] == [101]


@story(is_the_first_still)
def engine_out_of_breath() -> Stage:
    stage = Stage()
    stage.world.natures[A.digest] = Nature(hangs_after=100, hangs_for=2)
    stage.ends("applied")
    stage.world.clock.now = stage.world.units()[0].started + 100
    return stage


@story(is_the_first_still)
def engine_out_of_breath_in_its_trial() -> Stage:
    stage = Stage()
    stage.world.natures[A.digest] = Nature(hangs_after=1.5, hangs_for=1)
    return stage


@story(keeps_on_disk("b"))
def stubborn_engine() -> Stage:
    stage = Stage()
    stage.world.natures[A.digest] = Nature(ends_in=1e9)
    stage.ends("applied")
    stage.world.talk("a", TEA)
    return wants(stage, "b")


@story(remembers(TEA, CAKE))
def two_conversations() -> Stage:
    stage = Stage()
    stage.world.natures[A.digest] = Nature(slots=2)
    stage.ends("applied")
    stage.world.talk("a", TEA)
    stage.world.talk("a", CAKE)
    wants(stage, "b").ends("applied")
    return wants(stage, "a")


def no_host_is_cut(stage: Stage) -> None:
    keeps_on_disk("b")(stage)
    assert "cut" not in stage.world.logs


@story(no_host_is_cut)
def busy_engine() -> Stage:
    stage = serving_a()
    stage.world.talk("a", TEA, seconds=5.0)
    return wants(stage, "b")


def nothing_is_lost(stage: Stage) -> None:
    serves("b")(stage)
    assert stage.world.lost == []
    assert any(file.sidecar and file.holds for file in stage.world.files)


@story(nothing_is_lost)
def clients_that_end() -> Stage:
    stage = serving_a()
    stage.world.talk(
        "a", TEA, 0.7, Chatter(answer=0.7, pause=0.1, until=stage.world.clock.now + 5.0)
    )
    return wants(stage, "b")


@story(serves("b"), long=True)
def clients_that_do_not_end() -> Stage:
    stage = serving_a()
    stage.world.talk("a", TEA, 0.7, Chatter(answer=0.7, pause=0.1))
    return wants(stage, "b")


@story(keeps_on_disk("b"))
def tight_memory() -> Stage:
    stage = Stage()
    stage.world.memory_bytes = 24 * GIB
    for spec in (A, B):
        stage.world.natures[spec.digest] = Nature(memory_bytes=20 * GIB, frees_in=0.7)
    models = tuple(spec.model_copy(update={"vram_bytes": 20 * GIB}) for spec in (A, B))
    stage.wanted = want("a").model_copy(update={"models": models})
    stage.ends("applied")
    stage.world.talk("a", TEA)
    stage.wanted = want("b").model_copy(update={"models": models})
    return stage


@story(serves("a"))
def poisoned_restore() -> Stage:
    stage = switch_back()
    stage.world.natures[A.digest] = Nature(restores="badly")
    return stage


@story(serves("a"))
def deadly_restore() -> Stage:
    stage = switch_back()
    stage.world.natures[A.digest] = Nature(restores="deadly")
    return stage


@story(serves("a"))
def lying_restore() -> Stage:
    stage = switch_back()
    stage.world.natures[A.digest] = Nature(restores="nothing")
    return stage


@story(serves("a", "b"))
def second_model() -> Stage:
    stage = serving_a()
    stage.wanted = want("a", "b").model_copy(update={"models": (A, model("b", port=8081))})
    return stage


@story(serves("a"))
def other_build() -> Stage:
    stage = switch_back()
    stage.world.fingerprints["a"] = "another build"
    return stage


@story(serves("a"))
def damaged_file() -> Stage:
    stage = switch_back()
    stage.world.flip("a")
    return stage


def nothing_is_touched(stage: Stage) -> None:
    assert stage.world.units() == []
    assert stage.world.claim == ANOTHER


@story(nothing_is_touched)
def claimed_by_another() -> Stage:
    stage = Stage()
    stage.world.claim = ANOTHER
    return stage


@story(remembers(TEA))
def claim_lost() -> Stage:
    stage = switch_back()
    stage.world.claim = None
    return stage


class Reused(FakeLauncher):
    """Lose the race: the unit dies just before it is told to end, and a stranger gets its pid."""

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        world = self.host.world
        for process in world.processes:
            if process.identity == unit.identity:
                process.ends_at = world.clock.now
                world.stranger(pid=unit.identity.pid)
        return await super().stop(unit, grace)


@story(serves("b"))
def reused_pid() -> Stage:
    stage = wants(serving_a(), "b")
    stage.parts = FakeDrivers(launcher=Reused)
    return stage
