"""One container that cannot be seen, beside models that are switched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.fakes.ports import ALL_FAKE, FakeDrivers, FakeLauncher
from reconciler.fakes.processes import Nature
from reconciler.model.facts import Known
from reconciler.model.held_unit import UnseenUnit
from reconciler.model.spec import Kind
from tests.crash.stage import A, B, Stage, serving_a
from tests.runs import of_host
from tests.sample_worlds import HOST, model, slice_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model.facts import Fact
    from reconciler.model.held_unit import HeldUnit
    from reconciler.model.spec import ModelSpec

C = model("c", port=8082, launcher=Kind(kind="lxc"))
GIB = 1024**3
FROZEN = "container c is frozen"


class Freezer(FakeLauncher):
    """A launcher to which what is in container c is hidden."""

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        seen = await super().units(former)
        if self.kind != C.launcher.kind:
            return seen
        return Known((UnseenUnit(model=C.name, launcher=C.launcher, reason=FROZEN),))


def frozen(*active: str) -> Stage:
    stage = serving_a()
    stage.wanted = slice_of(active, A, B, C)
    stage.parts = FakeDrivers(launcher=Freezer)
    stage.world.memory_bytes = 24 * GIB
    return stage


def test_others_are_switched_and_the_host_is_not_called_in_sync() -> None:
    stage = frozen("b")
    stage.ends("applied")
    assert [*stage.world.serving()] == ["b"]
    assert stage.ends("refused").reasons == (f"unit {HOST}/c: {FROZEN}",)
    stage.parts = ALL_FAKE
    stage.ends("in_sync")


def test_what_fails_beside_it_is_gone_back_on() -> None:
    stage = frozen("b")
    stage.world.natures[B.digest] = Nature(dies_after=0.5)
    stage.ends("rolled_back")
    assert [*stage.world.serving()] == ["a"]


def test_what_is_wanted_and_not_seen_is_never_called_good() -> None:
    stage = frozen("b", "c")
    assert FROZEN in stage.ends("unhealthy").message
    assert [*stage.world.serving()] == ["b"]
    good = of_host(stage.kept().rows(), HOST).last_good
    assert good is not None
    assert good.active == ("a",)
    stage.parts = ALL_FAKE
    stage.ends("applied")
    assert sorted(stage.world.serving()) == ["b", "c"]
