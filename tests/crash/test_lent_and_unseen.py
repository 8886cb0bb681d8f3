"""What requests brought in serves on through a look that fails."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.recovery import of_host
from reconciler.fakes.ports import ALL_FAKE, FakeDrivers, FakeLauncher
from reconciler.model.facts import Fact, Unit, Unknown
from reconciler.model.spec import ModelSpec
from tests.crash.lenders import requests_bring_in
from tests.sample_worlds import HOST


class Unseen(FakeLauncher):
    """A launcher that cannot be asked for now."""

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[Unit, ...]]:
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
