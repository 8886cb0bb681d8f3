"""What each card held around a switch stands in the record of its run, and is told."""

from __future__ import annotations

from reconciler.fakes.processes import Nature
from reconciler.model.gpu import GIB
from tests.crash.stage import A, B, Stage, want
from tests.runs import history


def switched(stage: Stage) -> dict[str, str]:
    """What is said of each step of a switch between two models."""
    for spec in (A, B):
        stage.world.natures[spec.digest] = Nature(memory_bytes=8 * GIB)
    stage.ends("applied")
    stage.wanted = want("b")
    stage.ends("applied")
    run = history(stage.kept().rows())[-1]
    return {step["step"]: step["said"] for step in run["steps"]}


def test_each_card_is_looked_at_before_and_after_a_stop_and_when_the_next_has_loaded() -> None:
    stage = Stage()
    stage.world.memory_bytes = 24 * GIB
    said = switched(stage)
    assert said["stop"] == "card 0 held 8.0 GiB then 0.0 GiB"
    assert said["await_healthy"] == "card 0 held 8.0 GiB"


def test_of_a_host_without_cards_nothing_is_said() -> None:
    assert "card" not in "".join(switched(Stage()).values())
