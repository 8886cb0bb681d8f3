"""What holds of every story beside its end: nothing twice, inert plans, safe power cuts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest

from reconciler.fakes.life import Life, MortalJournal
from reconciler.fakes.ports import ports
from reconciler.fakes.world import World
from reconciler.loop.hints_cache import HintsRead
from reconciler.loop.survey import HostSurvey, survey
from reconciler.model.controller import Controller
from reconciler.model.records import RunOpened
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.ports import Clock, HostReaders, JournalReader, Source
from tests.crash import stories  # noqa: F401 - adds them
from tests.crash.stage import Stage
from tests.crash.story import STORIES
from tests.crash.test_every_boundary import check, moments, played
from tests.sample_worlds import HOST, ME, PROVENANCE, raised

BRIEF = [name for name, story in STORIES.items() if not story.long]
UNSYNCED = ["switch_back", "death_in_the_trial", "power_off"]


@dataclass(frozen=True)
class StageReader:
    """What a verb is given that only looks."""

    world: World
    journal: JournalReader
    life: Life
    source: Source
    clock: Clock
    controller: Controller = ME

    def keep(self, error: Exception) -> str:
        return raised(error)

    def remembered(self) -> HintsRead:
        return HintsRead(self.journal)

    def readers(self, slice_: Slice) -> HostReaders:
        return ports(self.world, slice_, self.life)


@dataclass(frozen=True)
class Files:
    """What an operator wrote."""

    wanted: Wanted

    def read(self) -> Wanted:
        return self.wanted


def planned(stage: Stage) -> tuple[Life, HostSurvey]:
    """Plan what a stage wants."""
    life = Life()
    rules = {HOST: stage.rules}
    wanted = Wanted(slices={HOST: stage.wanted}, rules=rules, provenance=PROVENANCE)
    journal = MortalJournal(stage.kept(), life, stage.world.noted)
    reader = StageReader(stage.world, journal, life, Files(wanted), stage.world.clock)
    (seen,) = stage.world.clock.run(partial(survey, reader, wanted))
    return life, seen


@pytest.mark.parametrize("name", STORIES)
def test_a_second_apply_makes_no_call_that_changes_anything(name: str) -> None:
    stage = played(STORIES[name].begin(), ())
    rows = stage.kept().rows()
    life, _ = stage.command()
    assert life.acts == []
    assert stage.kept().rows() == rows


@pytest.mark.parametrize("name", STORIES)
def test_a_plan_makes_no_call_that_changes_anything_and_writes_no_row(name: str) -> None:
    stage = STORIES[name].begin()
    rows = stage.kept().rows()
    life, _ = planned(stage)
    assert life.acts == []
    assert not [call for call in life.calls if "append" in call]
    assert stage.kept().rows() == rows


@pytest.mark.parametrize("name", BRIEF)
def test_what_is_planned_is_what_the_run_is_opened_with(name: str) -> None:
    stage = STORIES[name].begin().copied()
    # No gateway is here, and who plans sees that too.
    stage.rules = stage.rules.without_requests
    _, seen = planned(stage)
    before = len(stage.kept().rows())
    stage.command()
    opened = [
        row.record.plan for row in stage.kept().rows()[before:] if isinstance(row.record, RunOpened)
    ]
    steps = tuple(f"{planned.step.kind} {planned.step.target}" for planned in seen.plan.steps)
    assert opened[:1] == ([steps] if steps and not seen.plan.refusals else [])


@pytest.mark.parametrize("name", UNSYNCED)
def test_a_power_cut_of_the_controller_takes_nothing_that_is_needed(name: str) -> None:
    story = STORIES[name]
    stage = story.begin()
    for call in moments(stage):
        check(story, stage, (call,), after_each=lambda here: here.kept().cut_power())


@pytest.mark.parametrize(
    ("name", "acts", "asked"),
    [
        ("switch_back", "start", {"units", "port", "contact", "health", "activity"}),
        ("power_off", "shutdown", {"contact", "testimony", "canary"}),
        ("power_on", "wake", {"contact", "testimony", "canary", "gpu"}),
    ],
)
def test_nothing_is_asked_during_a_wait_that_could_not_end_it(
    name: str, acts: str, asked: set[str]
) -> None:
    stage = STORIES[name].begin()
    life, _ = stage.command()
    began = life.calls.index(f"{acts}, done")
    waited = life.calls[began : life.calls.index("append step-done", began)]
    journal = {"newest", "rows", "append accepted", "appended accepted"}
    assert {call.partition(",")[0] for call in waited} - journal <= {acts, *asked}
