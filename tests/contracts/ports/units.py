"""A unit of a bench's model, from its start to its end, and what it keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from reconciler.model.facts import (
    Activity,
    SavedSlot,
    Slot,
    Unit,
    UnitIdentity,
)
from tests import running
from tests.contracts.benches import Bench
from tests.rig import value
from tests.sample_worlds import marked

CONTROLLER = running.mark("")["controller"]
READY_WITHIN = 60.0


async def started(bench: Bench) -> Unit:
    evidence = await bench.launcher.start(bench.model, marked(bench.model, CONTROLLER))
    (unit,) = await ours(bench)
    assert unit.identity == UnitIdentity.model_validate(evidence["identity"])
    return unit


async def ours(bench: Bench) -> list[Unit]:
    return [
        unit for unit in value(await bench.launcher.units()) if unit.mark.controller == CONTROLLER
    ]


async def until_ready(bench: Bench, unit: Unit) -> Unit:
    with anyio.fail_after(READY_WITHIN):
        while (health := value(await bench.engine.health(unit))).phase != "ready":
            assert (health.phase, health.identity) == ("loading", unit.identity)
            await anyio.sleep(0.01)
    assert health.identity == unit.identity
    return unit


@asynccontextmanager
async def serving(bench: Bench) -> AsyncIterator[Unit]:
    """Serve the model inside the context."""
    unit = await until_ready(bench, await started(bench))
    yield unit
    await bench.launcher.stop(unit, 3)


async def slots(bench: Bench, unit: Unit) -> Sequence[Slot]:
    activity: Activity = value(await bench.engine.activity(unit))
    assert activity.identity == unit.identity
    return activity.slots


async def save(bench: Bench, unit: Unit) -> Any:
    return await bench.engine.save(unit, value(await bench.engine.activity(unit)))


async def kept(bench: Bench) -> tuple[SavedSlot, ...]:
    return tuple(value(await bench.files.saved()).slots)


async def outcomes(bench: Bench, unit: Unit) -> list[str]:
    """Restore what is saved; return what came of each slot, which its sidecar has to say too."""
    evidence: Any = await bench.engine.restore(unit, value(await bench.files.saved()))
    came = [slot["outcome"] for slot in evidence["slots"]]
    noted = [one.attempts[-1] for one in await kept(bench)]
    assert [(tried.identity, tried.outcome) for tried in noted] == [
        (unit.identity, outcome) for outcome in came
    ]
    return came
