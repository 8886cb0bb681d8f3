"""An engine that refuses us, or answers nonsense, lives: it is neither stopped nor left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from reconciler.fakes.engine import FakeEngine
from reconciler.fakes.ports import FakeDrivers
from reconciler.fakes.processes import Nature
from reconciler.loop import host_loop
from reconciler.model.facts import Activity, Answer, Health, Unknown
from tests.crash.stage import A, B, Stage, serving_a, want
from tests.runs import of_host
from tests.sample_worlds import HOST
from tests.watched_world import WatchedWorld

if TYPE_CHECKING:
    from reconciler.model.facts import Fact, Phase, Unit


def refusing(model_name: str, phase: Phase) -> FakeDrivers:
    """Engines of which one answers in this way as soon as it has loaded, and nothing else."""

    class Refusing(FakeEngine):
        @property
        def refuses(self) -> bool:
            return self.model.name == model_name

        def _health(self, unit: Unit) -> Health:
            health = super()._health(unit)
            return (
                health.model_copy(update={"phase": phase})
                if self.refuses and health.phase == "ready"
                else health
            )

        async def activity(self, unit: Unit) -> Fact[Activity]:
            return Unknown("it does not say") if self.refuses else await super().activity(unit)

        async def answer(self, unit: Unit) -> Fact[Answer]:
            return Unknown("it does not say") if self.refuses else await super().answer(unit)

    return FakeDrivers(engine=Refusing)


def switching() -> Stage:
    """Return a stage where a serves and b is wanted."""
    return replace(serving_a(), wanted=want("b"))


def pids(stage: Stage) -> dict[str, int]:
    return {one.mark.model: one.identity.pid for one in stage.world.units() if one.mark}


@pytest.mark.parametrize(
    ("phase", "outcome"), [("locked", "in_sync"), ("unclear", "refused"), ("other", "refused")]
)
def test_an_engine_that_answers_is_left_alone(phase: Phase, outcome: str) -> None:
    stage = serving_a()
    before = pids(stage)
    stage.parts = refusing("a", phase)
    stage.ends(outcome)
    assert pids(stage) == before


@pytest.mark.parametrize("phase", ["locked", "unclear"])
def test_an_engine_that_refuses_a_watch_is_left_alone_however_often_it_looks_again(
    phase: Phase,
) -> None:
    """Also an engine of which no conversation is kept, so that nothing else keeps it running."""
    given = serving_a()
    models = tuple(one.model_copy(update={"conversations": "drop"}) for one in given.wanted.models)
    watched = WatchedWorld(
        replace(
            given,
            wanted=given.wanted.model_copy(update={"models": models}),
            parts=refusing("a", phase),
        )
    )
    before = watched.world.units()

    async def all_of_it() -> None:
        async with watched.watching():
            await anyio.sleep(10 * host_loop.RESYNC_SECONDS)

    watched.world.clock.run(all_of_it)
    assert watched.world.units() == before
    assert watched.world.violations == []


@pytest.mark.parametrize("phase", ["locked", "unclear"])
def test_no_engine_is_stopped_for_another_while_it_cannot_be_seen_what_it_does(
    phase: Phase,
) -> None:
    stage = switching()
    before = pids(stage)
    stage.parts = refusing("a", phase)
    verdict = stage.ends("refused")
    assert "`conversations: drop`" in verdict.reasons[0]
    assert pids(stage) == before


def test_a_start_is_good_when_the_engine_lives_and_refuses_every_look() -> None:
    stage = switching()
    stage.parts = refusing("b", "locked")
    stage.ends("applied")
    assert list(pids(stage)) == ["b"]
    stage.ends("in_sync")


def test_a_start_that_ends_in_answers_that_make_no_sense_is_rolled_back() -> None:
    stage = switching()
    stage.parts = refusing("b", "unclear")
    stage.ends("rolled_back")
    assert list(stage.world.serving()) == ["a"]


@pytest.mark.parametrize("switches", [True, False], ids=["a switch", "a start"])
def test_a_start_that_serves_something_else_is_no_success_and_is_not_stopped_for_it(
    *, switches: bool
) -> None:
    class Otherwise(FakeEngine):
        """Work, and serve something else than b."""

        def _health(self, unit: Unit) -> Health:
            health = super()._health(unit)
            is_b = self.model.name == "b" and health.phase == "ready"
            return (
                health.model_copy(update={"phase": "other", "message": "it serves c, not b"})
                if is_b
                else health
            )

    stage = switching() if switches else Stage(wanted=want("b"))
    stage.parts = FakeDrivers(engine=Otherwise)
    good = of_host(stage.kept().rows(), HOST).last_good
    verdict = stage.ends("unhealthy")
    before = pids(stage)
    assert list(before) == ["b"]
    assert (verdict.message, verdict.exit_code, verdict.serving) == ("b: it serves c, not b", 3, {})
    assert of_host(stage.kept().rows(), HOST).last_good == good
    stage.ends("refused")
    assert pids(stage) == before
    stage.parts = FakeDrivers()
    stage.ends("in_sync")
    assert pids(stage) == before


def test_an_engine_that_refuses_beside_the_one_that_is_started_fails_no_trial() -> None:
    stage = serving_a()
    other = B.model_copy(update={"port": B.port + 1})
    stage.wanted = stage.wanted.model_copy(update={"active": ("a", "b"), "models": (A, other)})
    before = pids(stage)
    stage.parts = refusing("a", "unclear")
    stage.ends("applied")
    assert pids(stage) == {**before, "b": pids(stage)["b"]}


def test_a_start_whose_engine_answers_once_and_then_nonsense_is_gone_back_on() -> None:
    class Fickle(FakeEngine):
        """An engine that gives one real answer, and then what makes no sense."""

        answered = False

        def _health(self, unit: Unit) -> Health:
            health = super()._health(unit)
            return (
                health.model_copy(update={"phase": "unclear", "message": "503"})
                if Fickle.answered
                else health
            )

        async def answer(self, unit: Unit) -> Fact[Answer]:
            fact = await super().answer(unit)
            Fickle.answered = Fickle.answered or self.model.name == "b"
            return fact

    stage = switching()
    stage.parts = FakeDrivers(engine=Fickle)
    _, verdict = stage.command()
    assert verdict is not None
    assert "b became unclear in its trial: 503" in verdict.message
    assert "b" not in pids(stage)


def test_what_ran_before_a_failed_start_is_not_stopped_where_nothing_else_was_ever_good() -> None:
    stage = serving_a()
    before = pids(stage)
    stage.journal = None
    other = B.model_copy(update={"port": B.port + 1})
    stage.world.natures[other.digest] = Nature(dies_after=0.1)
    stage.wanted = stage.wanted.model_copy(update={"active": ("a", "b"), "models": (A, other)})
    stage.ends("rolled_back")
    assert pids(stage) == before
