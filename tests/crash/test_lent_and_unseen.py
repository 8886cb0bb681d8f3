"""What is lent serves on through a look that fails, and a person hears what came of a lease."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.canonical import digest
from reconciler.fakes.ports import ALL_FAKE, FakeDrivers, FakeLauncher
from reconciler.loop.interrupt import Interrupt
from reconciler.model.facts import Fact, Mark, Unknown
from reconciler.model.held_unit import HeldUnit
from reconciler.model.leasing import Leased, Released
from reconciler.model.lending import Rules
from reconciler.model.spec import ModelSpec
from reconciler.ports import Evidence
from tests.crash.lenders import (
    a_person_takes,
    a_person_takes_what_fails,
    requests_bring_in,
    requests_bring_in_what_fails,
)
from tests.crash.stage import A, B
from tests.crash.story import TEA, remembers
from tests.runs import of_host
from tests.sample_worlds import HOST, model, slice_of


class Unseen(FakeLauncher):
    """A launcher that cannot be asked for now."""

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        _ = former
        return Unknown("the bus does not answer")


def test_what_was_brought_in_is_not_let_go_for_a_look_that_failed() -> None:
    stage = requests_bring_in()
    stage.ends("applied")
    stage.parts = FakeDrivers(launcher=Unseen)
    verdict = stage.ends("refused")
    assert "the bus does not answer" in "; ".join(verdict.reasons)
    assert [*of_host(stage.kept().rows(), HOST).leases] == ["b"]
    stage.parts = ALL_FAKE
    stage.ends("in_sync")
    assert [*stage.world.serving()] == ["b"]


def test_what_serves_beside_a_model_that_cannot_be_brought_in_serves_on() -> None:
    stage = requests_bring_in_what_fails()
    stage.wanted = slice_of(("a",), A, B, model("e", port=8082, task="embedding"))
    rows = stage.kept()
    rows.append(Released(host=HOST, model="b", because="not yet"))
    rows.append(Leased(host=HOST, model="e", wanted=digest(stage.wanted)))
    stage.rules = Rules(allow=("b", "e"))
    stage.ends("applied")
    assert [*stage.world.serving()] == ["a", "e"]
    before = stage.world.serving()["e"]
    rows.append(Leased(host=HOST, model="b", wanted=digest(stage.wanted)))
    stage.command()
    known = of_host(rows.rows(), HOST)
    assert ([*known.leases], [*known.unlendable]) == (["e"], ["b"])
    assert stage.world.serving()["e"] == before, "it was not started again"


def test_a_person_hears_that_a_model_cannot_be_had_and_that_the_files_model_serves() -> None:
    stage = a_person_takes_what_fails()
    verdict = stage.ends("rolled_back")
    assert verdict.message.startswith("b cannot be brought in: ")
    assert verdict.log
    remembers(TEA)(stage)
    assert [*of_host(stage.kept().rows(), HOST).leases] == []


def test_a_person_who_interrupts_the_start_has_the_files_model_back() -> None:
    interrupt = Interrupt()

    class Impatient(FakeLauncher):
        """A launcher beside which a person presses Ctrl-C once b is started."""

        async def start(self, model: ModelSpec, mark: Mark) -> Evidence:
            if model.name == "b":
                interrupt.request("interrupted by Ctrl-C", "rollback")
            return await super().start(model, mark)

    stage = a_person_takes()
    stage.interrupt, stage.parts = interrupt, FakeDrivers(launcher=Impatient)
    verdict = stage.ends("interrupted")
    assert "interrupted by Ctrl-C" in verdict.message
    remembers(TEA)(stage)
    known = of_host(stage.kept().rows(), HOST)
    assert (known.leases, known.unlendable, known.quarantine) == ({}, {}, None)
