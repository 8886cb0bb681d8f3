"""A saved conversation that stays away is named with the reason, in history and status too."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.recovery import fold
from reconciler.errors import DriverError
from reconciler.fakes.engine import FakeEngine
from reconciler.fakes.ports import FakeDrivers
from reconciler.fakes.processes import Conversation, Nature
from reconciler.model.facts import Answer, Fact, Saved, Unit
from reconciler.model.verdict import HostVerdict
from reconciler.ports import Evidence
from tests.crash import stories  # noqa: F401 - adds them
from tests.crash.stage import A, Stage
from tests.crash.story import STORIES
from tests.runs import history
from tests.sample_worlds import HOST


def back(
    nature: Nature | None = None, engine: type[FakeEngine] = FakeEngine
) -> tuple[Stage, HostVerdict]:
    """Switch back to a model with a saved conversation, of an engine that restores like this."""
    stage = STORIES["switch_back"].begin()
    stage.world.natures[A.digest] = nature or Nature()
    stage.parts = FakeDrivers(engine=engine)
    return stage, stage.ends("applied")


def restores(stage: Stage) -> list[dict[str, Any]]:
    return [
        step
        for run in history(stage.kept().rows())
        for step in run["steps"]
        if step["step"] == "restore_slots"
    ]


def noted(stage: Stage) -> tuple[str, ...]:
    return fold(stage.kept().rows())[HOST].notes


def test_one_that_is_proven_needs_no_word() -> None:
    stage, verdict = back()
    assert (verdict.notes, noted(stage)) == ((), ())
    assert restores(stage)[-1]["said"] == "slot 0: 500 tokens proven"


@pytest.mark.parametrize(
    ("restoring", "said"),
    [
        ("nothing", "a: slot 0 (500 tokens) started cold"),
        ("badly", "a: slot 0 (500 tokens) could not be put back"),
    ],
)
def test_one_that_is_cold_or_failed_is_named_once(restoring: Any, said: str) -> None:
    stage, verdict = back(Nature(restores=restoring))
    assert [note for note in verdict.notes if "500 tokens" in note] == [said]
    assert noted(stage) == verdict.notes
    assert verdict.exit_code == 0, "nothing was lost against the plan"


class Unreadable(FakeEngine):
    """An engine whose files do not tell which tokens they hold."""

    async def restore(self, unit: Unit, saved: Saved) -> Evidence:
        evidence: Any = await super().restore(unit, saved)
        why = {"outcome": "unverified", "reason": "its layout is not known"}
        return {"slots": [{**slot, **why} for slot in evidence["slots"]]}


def test_one_that_could_not_be_verified_is_named_with_the_reason() -> None:
    stage, verdict = back(engine=Unreadable)
    assert verdict.notes == (
        "a: slot 0 (500 tokens) was put back, but not verified: its layout is not known",
    )
    assert restores(stage)[-1]["said"] == "slot 0: 500 tokens unverified (its layout is not known)"


class Popular(FakeEngine):
    """An engine to which a client speaks as soon as it answers, before anything is put back."""

    async def answer(self, unit: Unit) -> Fact[Answer]:
        answered = await super().answer(unit)
        if "a" in self.host.world.serving():
            self.host.world.talk("a", Conversation("a new one", 50))
        return answered


def test_one_whose_slot_a_client_took_before_the_restore_is_named_without_a_try() -> None:
    stage, verdict = back(engine=Popular)
    assert verdict.notes == ("a: slot 0 (500 tokens) started cold: clients use its slot already",)
    (restore,) = restores(stage)
    assert restore["said"] == "slot 0: 500 tokens cold (clients use its slot already)"
    assert restore["outcome"] == "skipped"


class Gone(FakeEngine):
    """An engine that cannot be asked to restore."""

    async def restore(self, unit: Unit, saved: Saved) -> Evidence:
        _ = unit, saved
        raise DriverError("nothing accepts connections there")


def test_a_restore_that_could_not_be_tried_is_said() -> None:
    _, verdict = back(engine=Gone)
    assert verdict.notes == (
        "a: not every saved conversation was put back: nothing accepts connections there",
    )


def test_the_next_run_starts_with_a_clean_sheet() -> None:
    stage, _ = back(Nature(restores="nothing"))
    stage.world.natures[A.digest] = Nature()
    stage.world.crash("a")
    stage.ends("applied")
    assert not [note for note in noted(stage) if "cold" in note]
