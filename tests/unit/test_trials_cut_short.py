"""A trial that is cut short proves nothing: it is held again before its state is last good."""

from __future__ import annotations

import anyio
import pytest

from reconciler.core.canonical import digest
from reconciler.model.records import Hold, Resume, RunClosed, TrialOpened
from tests.crash.stage import serving_a, want
from tests.sample_worlds import HOST, model
from tests.watched_world import WatchedWorld

SETTLED = 30.0
"""By then a switch in this world has ended."""

LOOKS, PAUSE = 200, 0.05


async def in_its_trial(watched: WatchedWorld, after: int) -> None:
    """Wait until a trial has been open for a while, but not for as long as it takes."""
    for _ in range(LOOKS):
        if any(isinstance(row.record, TrialOpened) for row in watched.journal.since(after)):
            await anyio.sleep(0.3)
            return
        await anyio.sleep(PAUSE)
    pytest.fail("no trial was held")


def verdicts(watched: WatchedWorld, after: int) -> list[str]:
    return [
        row.record.verdict
        for row in watched.journal.since(after)
        if isinstance(row.record, RunClosed)
    ]


@pytest.mark.parametrize("edits", [1, 3])
def test_an_edit_of_something_else_during_a_trial_is_no_proof(edits: int) -> None:
    watched = WatchedWorld(serving_a())

    async def script() -> None:
        async with watched.watching():
            await anyio.sleep(SETTLED)
            begun = before = watched.journal.newest()
            watched.edit(want("b"))
            for number in range(edits):
                await in_its_trial(watched, before)
                before = watched.journal.newest()
                others = (model("a", digest=digest(["a", number])), *want("b").models[1:])
                watched.edit(want("b").model_copy(update={"models": others}))
            await anyio.sleep(SETTLED)
            assert {*watched.world.serving()} == {"b"}
            assert verdicts(watched, begun) == ["superseded"] * edits + ["promoted"]

    watched.world.clock.run(script)
    assert watched.world.violations == []


def test_a_hold_during_a_trial_is_no_proof_either() -> None:
    watched = WatchedWorld(serving_a())

    async def script() -> None:
        async with watched.watching():
            await anyio.sleep(SETTLED)
            begun = watched.journal.newest()
            watched.edit(want("b"))
            await in_its_trial(watched, begun)
            await watched.ask("hold", Hold(host=HOST, reason="a game", now=True))
            await anyio.sleep(SETTLED)
            await watched.ask("resume", Resume(host=HOST))
            assert verdicts(watched, begun) == ["superseded", "promoted"]

    watched.world.clock.run(script)
    assert watched.world.violations == []
