"""A watch whose wish fails: what serves, when it is tried again, and what is said meanwhile."""

from __future__ import annotations

from itertools import pairwise

import anyio

from reconciler.core.canonical import digest
from reconciler.fakes.processes import Nature
from reconciler.loop import host_loop
from reconciler.model.leasing import Leased, Term
from reconciler.model.records import RunClosed, RunOpened
from tests.crash.stage import A, B, Stage, want
from tests.sample_worlds import HOST, model, slice_of
from tests.watched_world import SETTLED, WatchedWorld, run, serves, serving


def test_a_unit_that_keeps_dying_is_started_ever_more_rarely() -> None:
    watched = WatchedWorld(Stage())
    watched.world.natures[model("a").digest] = Nature(dies_after=5.0)

    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(host_loop.LOOK_BACK_SECONDS)
        opened = [row.at for row in watched.journal.rows() if isinstance(row.record, RunOpened)]
        waits = [round(later - earlier) for earlier, later in pairwise(opened)]
        assert waits[0] < 10.0
        assert waits == sorted(waits)
        assert waits[-1] > 80.0

    run(watched, script)


def test_a_failed_wish_is_left_alone_while_last_good_serves() -> None:
    async def script(watched: WatchedWorld) -> None:
        watched.world.natures[model("b").digest] = Nature(dies_after=0.5)
        await anyio.sleep(SETTLED)
        watched.edit(want("b"))
        await anyio.sleep(10_000.0)
        assert serves(watched) == {"a"}
        failures = [
            row.record
            for row in watched.journal.rows()
            if isinstance(row.record, RunClosed) and row.record.quarantines
        ]
        assert len(failures) == 1
        refused = await watched.ask("apply")
        assert refused.message == "the wanted state failed before; last good keeps serving"
        assert list(refused.serving) == ["a"]
        assert not any("it is tried again" in line for line in watched.said)

    run(serving(), script)


def test_a_failed_wish_is_tried_again_ever_more_rarely_where_nothing_serves() -> None:
    async def script(watched: WatchedWorld) -> None:
        watched.world.natures[model("a").digest] = Nature(dies_after=0.5)
        await anyio.sleep(10_000.0)
        failed = [
            row.at
            for row in watched.journal.rows()
            if isinstance(row.record, RunClosed) and row.record.quarantines
        ]
        waits = [later - earlier for earlier, later in pairwise(failed)]
        assert 5 < len(failed) < 30
        told = [line for line in watched.said if "it is tried again at " in line]
        assert len(failed) - 1 <= len(told) <= len(failed)
        assert not any("keeps serving" in line for line in watched.said)
        assert waits[:4] == sorted(waits[:4])
        watched.world.natures.clear()
        await anyio.sleep(2000.0)
        assert serves(watched) == {"a"}

    run(WatchedWorld(Stage()), script)


def test_what_last_good_would_be_stopped_for_is_not_said_to_be_tried_again() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        watched.world.natures[model("b").digest] = Nature(dies_after=0.5)
        watched.edit(want("b"))
        with anyio.fail_after(SETTLED):
            while not any("going back" in line for line in watched.said) or serves(watched) != {  # noqa: ASYNC110
                "a"
            }:
                await anyio.sleep(0.01)
        watched.world.crash("a")
        await anyio.sleep(SETTLED)
        assert serves(watched) == {"a"}
        assert any("rolled back; quarantined" in line for line in watched.said)
        assert not any("it is tried again" in line for line in watched.said)

    run(serving(), script)


def test_an_engine_that_hangs_is_found_out_by_looking_again() -> None:
    watched = WatchedWorld(Stage())
    watched.world.natures[model("a").digest] = Nature(hangs_after=50.0)

    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        assert len(watched.runs()) == 1
        watched.world.natures.clear()
        await anyio.sleep(50.0 + 2 * host_loop.RESYNC_SECONDS)
        assert len(watched.runs()) == 2
        assert serves(watched) == {"a"}

    run(watched, script)


def test_a_last_good_state_in_which_nothing_runs_is_not_said_to_serve() -> None:
    async def script(watched: WatchedWorld) -> None:
        watched.world.natures[model("b").digest] = Nature(dies_after=0.5)
        watched.edit(want())
        await anyio.sleep(SETTLED)
        watched.edit(want("b"))
        await anyio.sleep(SETTLED)
        refused = [line for line in watched.said if "the wanted state failed before" in line]
        assert refused
        assert all("the wanted state failed before; nothing serves; " in line for line in refused)

    run(serving(), script)


def test_who_takes_the_port_of_a_model_that_died_leaves_nothing_that_is_said_to_serve() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        watched.world.natures[model("a").digest] = Nature(dies_after=0.1)
        watched.world.crash("a")
        with anyio.fail_after(SETTLED):
            while watched.world.on_port(model("a").port) or not any(  # noqa: ASYNC110
                "start a" in line for line in watched.said
            ):
                await anyio.sleep(0.01)
        watched.world.stranger(model("a").port)
        await anyio.sleep(1000.0)
        assert any("refused; the wanted state failed before; " in line for line in watched.said)
        assert not any("serving" in line for line in watched.said)

    run(serving(), script)


def test_what_does_not_come_back_beside_a_lent_model_is_tried_again_soon() -> None:
    back, instead = (model(name, port=8082, task="embedding") for name in "ef")
    wish = slice_of(("a", "e"), A, B, back, instead)
    watched = WatchedWorld(Stage(wanted=wish))

    def lend(name: str, seconds: float) -> None:
        term = Term(by="ann", until=watched.world.clock.wall() + seconds)
        watched.journal.append(Leased(host=HOST, model=name, wanted=digest(wish), term=term))

    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        lend("b", 10_000.0)
        lend("f", SETTLED)
        await watched.ask("use")
        assert serves(watched) == {"b", "f"}
        watched.world.natures[back.digest] = Nature(dies_after=0.5)
        await anyio.sleep(SETTLED)
        assert watched.said[-1] == "box: unhealthy; await_healthy e: it exited while loading"
        watched.world.natures.clear()
        await anyio.sleep(SETTLED)
        assert serves(watched) == {"b", "e"}

    run(watched, script)
