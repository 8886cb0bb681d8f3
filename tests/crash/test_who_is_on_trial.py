"""A trial is of what a run started: who ran before, and ends meanwhile, takes nobody with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from reconciler.core.canonical import digest
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.ports import FakeDrivers, FakeLauncher
from reconciler.fakes.processes import NEVER, Nature
from reconciler.fakes.world import World
from reconciler.model.facts import Fact, UnitIdentity, Unknown
from reconciler.model.held_unit import HeldUnit
from reconciler.model.records import RunClosed, TrialOpened
from reconciler.model.spec import ModelSpec, Slice
from tests.crash.stage import Stage
from tests.rig import units_of
from tests.sample_worlds import model, slice_of

OLD = model("old")
NEW = model("new", port=8081, stable_for=20.0)
LOOKS_OF_A_TRIAL = 4
ANOTHER = UnitIdentity(pid=7, start=7, inode=7, boot_id="boot-1")


def wanted(*active: str) -> Slice:
    return slice_of(active, OLD, NEW)


def serving_old(new: Nature = Nature()) -> Stage:  # noqa: B008 - it is a value
    """Return a stage where one model serves and was found good, and another is wanted beside it."""
    world = World(TurnedClock())
    world.natures[NEW.digest] = new
    stage = Stage(world, wanted=wanted("old"))
    stage.ends("applied")
    stage.wanted = wanted("old", "new")
    return stage


def serving(stage: Stage) -> dict[str, int]:
    return {one.mark.model: one.identity.pid for one in stage.world.units() if one.mark}


def on_trial(stage: Stage) -> list[str]:
    """Return who was on trial in the last run."""
    return [
        *[row.record for row in stage.kept().rows() if isinstance(row.record, TrialOpened)][
            -1
        ].units
    ]


def test_only_who_was_started_is_on_trial() -> None:
    stage = serving_old()
    stage.ends("applied")
    assert on_trial(stage) == ["new"]


def test_who_ran_before_and_ends_during_a_trial_is_started_again_and_nothing_is_stopped() -> None:
    stage = serving_old()
    (old,) = stage.world.processes
    old.ends_at = stage.world.clock.now + 10.0
    verdict = stage.ends("unhealthy")
    assert verdict.message == "old: it ended while others were tried"
    closed, *_ = [
        row.record for row in reversed(stage.kept().rows()) if isinstance(row.record, RunClosed)
    ]
    assert (closed.verdict, closed.quarantines) == ("failed", False)
    new = serving(stage)
    assert [*new] == ["new"]
    stage.ends("applied")
    assert serving(stage).keys() == {"old", "new"}
    assert serving(stage)["new"] == new["new"]


def test_who_ran_before_and_ends_on_a_way_back_is_not_called_good_and_is_started_again() -> None:
    stage = serving_old()
    stage.ends("applied")
    broken = NEW.model_copy(update={"digest": digest("broken")})
    stage.world.natures[broken.digest] = Nature(dies_after=0.5)
    stage.wanted = slice_of(("old", "new"), OLD, broken)
    (old,) = [one for one in stage.world.units() if one.mark and one.mark.model == "old"]
    old.ends_at = stage.world.clock.now + 10.0
    verdict = stage.ends("stalled")
    assert verdict.message.endswith("old: it ended while others were tried")
    assert verdict.serving == {}
    assert stage.world.violations == []
    new = serving(stage)
    assert [*new] == ["new"]
    stage.ends("rolled_back")
    assert serving(stage).keys() == {"old", "new"}
    assert serving(stage)["new"] == new["new"]
    assert stage.world.violations == []


@pytest.mark.parametrize("change", [{"leader": False}, {"identity": ANOTHER}])
def test_who_ran_before_and_is_not_the_same_after_a_trial_has_ended(
    change: dict[str, object],
) -> None:
    """Only members of its group are left, or what starts units by itself has started it again."""
    stage = serving_old()
    begun = stage.world.clock.now + 10.0

    class Restless(FakeLauncher):
        async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
            seen = await super().units(former)
            if isinstance(seen, Unknown) or self.host.world.clock.now < begun:
                return seen
            units = (
                unit.model_copy(update=change if unit.mark.model == "old" else {})
                for unit in units_of(seen)
            )
            return replace(seen, value=tuple(units))

    stage.parts = FakeDrivers(launcher=Restless)
    verdict = stage.ends("unhealthy")
    assert verdict.message == "old: it ended while others were tried"


def disturbed(at: int, disturb: Callable[[World], Unknown | None]) -> int:
    """Start one beside another, with one look for units disturbed; return how many there were."""
    stage = serving_old()
    quick = NEW.model_copy(update={"stable_for": 2.0})
    stage.wanted = slice_of(("old", "new"), OLD, quick)
    looks = 0

    class Disturbed(FakeLauncher):
        async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
            nonlocal looks
            looks += 1
            answer = disturb(self.host.world) if looks == at else None
            return answer or await super().units(former)

    stage.parts = FakeDrivers(launcher=Disturbed)
    stage.command()
    assert stage.world.violations == [], at
    return looks


def old_ends(world: World) -> None:
    world.processes[0].ends_at = world.now


def silent(_: World) -> Unknown:
    return Unknown("its host did not answer")


@pytest.mark.parametrize("disturb", [old_ends, silent])
def test_whichever_look_fails_or_finds_one_gone_nothing_is_called_good_untried(
    disturb: Callable[[World], Unknown | None],
) -> None:
    number = 1
    while disturbed(number, disturb) >= number:
        number += 1
    assert number > LOOKS_OF_A_TRIAL


@pytest.mark.parametrize("seconds", [5.0, NEVER])
def test_who_was_started_and_ends_in_its_trial_goes_alone(seconds: float) -> None:
    stage = serving_old(Nature(dies_after=seconds))
    before = serving(stage)
    stage.ends("rolled_back" if seconds < NEVER else "applied")
    assert serving(stage)["old"] == before["old"]
    assert ("new" in serving(stage)) == (seconds == NEVER)
