"""A restart that cannot be carried out is tried once, and what serves serves on."""

from __future__ import annotations

import anyio

from reconciler.errors import DriverError
from reconciler.fakes.engine import FakeEngine
from reconciler.fakes.ports import FakeDrivers
from reconciler.fakes.processes import FakeProcess
from reconciler.loop import host_loop
from reconciler.model.facts import Unit
from reconciler.model.records import Restart, StepIntent
from reconciler.ports import Evidence
from tests.crash.fresh import FIRST
from tests.crash.stage import serving_a
from tests.runs import of_host
from tests.sample_worlds import HOST
from tests.watched_world import SETTLED, WatchedWorld, run


class Unsaving(FakeEngine):
    """An engine that keeps what it remembers to itself."""

    async def _save(self, slot: int, process: FakeProcess, unit: Unit, kept: list[str]) -> Evidence:
        _ = slot, process, unit, kept
        raise DriverError("it says 501")


def saves(watched: WatchedWorld) -> int:
    intents = [row.record for row in watched.journal.rows() if isinstance(row.record, StepIntent)]
    return len([one for one in intents if one.step == "save_slots"])


def test_where_a_conversation_must_not_be_lost_and_cannot_be_saved_it_is_not_tried_again() -> None:
    stage = serving_a()
    models = tuple(
        one.model_copy(update={"conversations": "require"}) for one in stage.wanted.models
    )
    stage.wanted = stage.wanted.model_copy(update={"models": models})
    stage.ends("in_sync")
    stage.parts = FakeDrivers(engine=Unsaving)
    (before,) = stage.world.units()

    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        asked = Restart(host=HOST, model="a", identity=before.identity)
        verdict = await watched.ask("restart", asked)
        assert "it says 501" in verdict.message
        assert verdict.exit_code
        await anyio.sleep(3 * host_loop.RESYNC_SECONDS)
        assert [one.identity.pid for one in watched.world.units()] == [FIRST]
        assert saves(watched) == 1
        known = of_host(list(watched.journal.rows()), HOST)
        assert (known.restarts, known.quarantine) == ({}, None)

    run(WatchedWorld(stage), script)
