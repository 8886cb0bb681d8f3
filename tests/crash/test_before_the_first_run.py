"""Before the first run: what a controller finds serving is what a failed start goes back to."""

from __future__ import annotations

from reconciler.fakes.processes import Nature
from reconciler.model.records import Adopted
from tests.crash.stage import Stage, serving_a, want
from tests.crash.test_every_boundary import moments, played
from tests.sample_worlds import model

DIES = Nature(dies_after=0.5)


def unknown_a(b: Nature = DIES) -> Stage:
    """Return a stage where a serves of which no journal knows, and b is wanted."""
    stage = serving_a()
    stage.journal, stage.wanted = None, want("b")
    stage.world.natures[model("b").digest] = b
    return stage


def adopted(stage: Stage) -> list[tuple[str, ...] | None]:
    rows = (row.record for row in stage.kept().rows())
    return [one.slice.active for one in rows if isinstance(one, Adopted)]


def test_a_first_run_that_fails_goes_back_to_what_served_before() -> None:
    stage = unknown_a()
    verdict = stage.ends("rolled_back")
    assert list(verdict.serving) == ["a"]
    assert set(stage.world.serving()) == {"a"}
    assert adopted(stage) == [("a",)]


def test_killed_at_any_moment_it_still_goes_back() -> None:
    stage = unknown_a()
    for call in moments(stage):
        assert set(played(stage, (call,)).world.serving()) == {"a"}, call


def test_what_serves_beside_what_is_wanted_is_not_gone_back_to_once_that_is_reached() -> None:
    stage = unknown_a(Nature())
    stage.ends("applied")
    stage.wanted = want("a")
    stage.world.natures[model("a").digest] = DIES
    assert list(stage.ends("rolled_back").serving) == ["b"]
    assert adopted(stage) == [("a",)]


def test_an_engine_that_hangs_is_nothing_to_go_back_to() -> None:
    stage = unknown_a()
    (a,) = stage.world.processes
    a.nature = Nature(hangs_after=0.0)
    stage.ends("unhealthy")
    assert adopted(stage) == []
    assert not stage.world.serving()


def test_the_wish_that_failed_is_left_alone_after_that() -> None:
    stage = unknown_a()
    stage.ends("rolled_back")
    stage.ends("refused")
    assert adopted(stage) == [("a",)]
