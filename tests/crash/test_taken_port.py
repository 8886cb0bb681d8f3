"""A port that is taken between a stop and the start after it is named, and nothing is lost."""

from __future__ import annotations

from reconciler.fakes.ports import ALL_FAKE, FakeDrivers, FakeLauncher
from reconciler.model.facts import Unit
from reconciler.ports import Evidence
from tests.crash.stage import A, serving_a
from tests.crash.story import TEA, remembers, wants


class Overtaken(FakeLauncher):
    """A launcher beside a stranger who takes a port as soon as a unit lets go of it."""

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        evidence = await super().stop(unit, grace)
        self.host.world.stranger(A.port)
        return evidence


def test_a_port_that_is_taken_after_the_stop_costs_no_conversation() -> None:
    stage = wants(serving_a(), "b")
    stage.parts = FakeDrivers(launcher=Overtaken)
    verdict = stage.ends("stalled")
    held = "port 8080 is held by nginx (pid 102)"
    assert verdict.message.startswith(f"start b: {held}; `kill 102` ends it, ")
    assert f"going back failed too: start a: {held}" in verdict.message
    assert verdict.exit_code == 3
    stage.world.processes.clear()
    stage.parts = ALL_FAKE
    wants(stage, "a").ends("applied")
    remembers(TEA)(stage)
    assert stage.world.violations == []
