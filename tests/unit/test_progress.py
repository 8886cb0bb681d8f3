"""A wait that takes its time is told: its deadline, its usual length, and the engine's words."""

from __future__ import annotations

import pytest

from reconciler.fakes.processes import Nature
from reconciler.loop import trial
from tests.crash import stories  # noqa: F401 - adds them
from tests.crash.stage import A, B, Stage, want
from tests.crash.story import STORIES
from tests.sample_worlds import model, slice_of


def told(stage: Stage) -> list[str]:
    """Return what was told of waits."""
    return [line for line in stage.said if " of at most " in line]


def test_a_long_wait_names_its_deadline_and_the_last_line_of_the_log_less_and_less_often() -> None:
    stage = Stage(wanted=want("a"))
    stage.world.natures[A.digest] = Nature(loads_in=40.0)
    stage.ends("applied")
    lines = told(stage)
    assert lines[0] == "await_healthy a: 1 s of at most 120 s; its log: a started"
    assert [int(line.split()[2]) for line in lines] == [1, 3, 7, 15, 31]


def test_a_wait_that_was_seen_before_says_how_long_it_usually_takes() -> None:
    stage = Stage(wanted=want("a"))
    stage.world.natures[A.digest] = Nature(loads_in=5.0)
    stage.ends("applied")
    stage.wanted = want()
    stage.ends("applied")
    stage.wanted = want("a")
    stage.ends("applied")
    assert ", usually 5 s; its log" in told(stage)[-1]


def test_a_short_wait_says_nothing_more() -> None:
    stage = Stage(wanted=want("a"))
    stage.world.natures[A.digest] = Nature(loads_in=0.5)
    stage.ends("applied")
    assert stage.said == ["start a (not running)", "await_healthy a (not running)"]


def test_a_log_that_cannot_be_read_holds_up_nothing() -> None:
    stage = Stage(wanted=slice_of(("b",), A, B))
    stage.world.natures[B.digest] = Nature(loads_in=3.0)
    stage.world.unseen["log"] = "nobody answers"
    stage.ends("applied")
    assert told(stage)[0] == "await_healthy b: 1 s of at most 120 s"


def test_a_wait_for_a_host_to_go_down_says_what_is_known_of_it_so_far() -> None:
    stage = STORIES["power_off_unwatched"].begin()
    stage.ends("applied")
    first, *_, last = (line.partition("; ")[2] for line in told(stage))
    assert first.startswith("it accepted to go down (run ")
    assert first.endswith(") and has not gone yet")
    assert ") and is silent; 30 s of that while " in last


@pytest.mark.parametrize(
    ("names", "seconds", "said"),
    [
        (("a",), 10.0, ["a is up; watched for 10 s (stable_for) before it counts as good"]),
        (
            ("b", "a"),
            10.0,
            ["a, b are up; watched for 10 s (stable_for) before they count as good"],
        ),
        (("a",), 0.2, []),
    ],
)
def test_a_trial_that_takes_its_time_is_announced_with_what_it_waits_for(
    names: tuple[str, ...], seconds: float, said: list[str]
) -> None:
    heard: list[str] = []
    models = (model("a").model_copy(update={"stable_for": seconds}), model("b"))
    trial.tell(names, slice_of(names, *models), heard.append)
    assert heard == said
