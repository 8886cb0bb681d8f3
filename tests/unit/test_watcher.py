"""A watch on its own clock: what starts a pass, ends a wait, or leaves a host alone."""

from __future__ import annotations

import anyio

from reconciler.core.canonical import digest
from reconciler.edge.notify import SystemdSupervisor
from reconciler.fakes.processes import Conversation, Nature
from reconciler.gateway.seats import Seats
from reconciler.loop import host_loop
from reconciler.loop.watcher import READY_SECONDS
from reconciler.model.records import Asked, Hold, Resume, RunClosed, StepDone
from tests.crash.stage import A, Stage, want
from tests.sample_worlds import HOST, PROVENANCE, model
from tests.unit.test_live_tally import told
from tests.watched_world import QUICK, SETTLED, WatchedWorld, run, serves, serving, wanted


class Waiting(SystemdSupervisor):
    """A service manager that waits for the start to be over."""

    def __init__(self, watched: WatchedWorld) -> None:
        super().__init__({})
        self._seen, self._began = watched, watched.world.clock.wall()
        self.told: list[tuple[float, tuple[str, ...]]] = []

    def ready(self) -> None:
        passed = self._seen.world.clock.wall() - self._began
        self.told.append((passed, tuple(self._seen.said)))


def started(watched: WatchedWorld) -> tuple[float, tuple[str, ...]]:
    """Run a watch, and return when it said that it had started, and what it had said by then."""
    waiting = Waiting(watched)
    watched.supervisor = waiting

    async def script(_: WatchedWorld) -> None:
        await anyio.sleep(10 * SETTLED)

    run(watched, script)
    (told,) = waiting.told
    return told


def test_it_has_started_when_the_files_are_read_and_each_host_was_seen_to() -> None:
    _, said = started(serving())
    assert said[-1] == f"{HOST}: in sync"


def test_it_has_started_also_where_the_files_cannot_be_used() -> None:
    watched = serving()
    watched.edits.write("ConfigError: line 3 is wrong")
    after, said = started(watched)
    assert after < QUICK
    assert said[-1].startswith("ConfigError: line 3 is wrong")


def test_the_gateway_is_told_of_files_that_cannot_be_used_until_they_can() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        assert seats.note == ""
        watched.edits.write("ConfigError: line 3 is wrong")
        await anyio.sleep(SETTLED)
        assert "cannot be used" in seats.note
        assert "files_usable 1" not in told(watched.tally)
        watched.edit(want("a"))
        await anyio.sleep(SETTLED)
        assert seats.note == ""
        assert "files_usable 1" in told(watched.tally)

    watched = serving()
    watched.doors = seats = Seats(watched.world.clock.boot)
    run(watched, script)


def test_a_model_that_loads_for_minutes_does_not_keep_its_start_waiting() -> None:
    watched = WatchedWorld(Stage(wanted=want("a")))
    watched.world.natures[A.digest] = Nature(loads_in=120.0)
    after, _ = started(watched)
    assert after == READY_SECONDS


def test_an_edit_is_carried_out_by_itself() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        at = watched.world.clock.wall()
        watched.edit(want("b"))
        await anyio.sleep(SETTLED)
        assert serves(watched) == {"b"}
        assert watched.first_effect_after(at) < 0.1

    run(serving(), script)


def test_an_edit_that_changes_no_slice_touches_nothing() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        rows, units = watched.journal.newest(), watched.world.units()
        watched.edit(want("a"), PROVENANCE.model_copy(update={"commit": "f" * 40}))
        await anyio.sleep(SETTLED)
        assert (watched.journal.newest(), watched.world.units()) == (rows, units)

    run(serving(), script)


def test_a_watch_at_rest_writes_nothing() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        rows = watched.journal.newest()
        await anyio.sleep(10_000.0)
        assert watched.journal.newest() == rows

    run(serving(), script)


def test_files_that_cannot_be_used_change_nothing_and_are_reported_once() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        rows = watched.journal.newest()
        for _ in range(3):
            watched.edits.write("ConfigError: line 3 is wrong")
            await anyio.sleep(SETTLED)
        assert watched.journal.newest() == rows
        assert (
            watched.said.count(
                "ConfigError: line 3 is wrong\nwhat was wanted before is kept until that changes"
            )
            == 1
        )
        watched.edit(want("b"))
        await anyio.sleep(SETTLED)
        assert serves(watched) == {"b"}

    run(serving(), script)


def test_a_watch_that_never_read_the_files_says_that_it_does_nothing() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        assert watched.said == ["ConfigError: line 3 is wrong\nnothing is done until that changes"]

    watched = WatchedWorld(Stage(wanted=want("a")))
    watched.edits.write("ConfigError: line 3 is wrong")
    run(watched, script)


def test_a_unit_that_dies_is_started_again_at_once() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        at = watched.world.clock.wall()
        watched.world.crash("a")
        await anyio.sleep(SETTLED)
        assert serves(watched) == {"a"}
        assert watched.first_effect_after(at) < QUICK

    run(serving(), script)


def test_a_newer_wish_ends_the_wait_for_an_older_one() -> None:
    async def script(watched: WatchedWorld) -> None:
        watched.world.natures[model("b").digest] = Nature(loads_in=1000.0)
        await anyio.sleep(SETTLED)
        watched.edit(want("b"))
        await anyio.sleep(SETTLED)
        at = watched.world.clock.wall()
        watched.edit(want("a"))
        await anyio.sleep(SETTLED)
        assert serves(watched) == {"a"}
        assert watched.first_effect_after(at) < QUICK
        closed = [row.record for row in watched.journal.rows() if isinstance(row.record, RunClosed)]
        assert [run.verdict for run in closed[-2:]] == ["superseded", "promoted"]

    run(serving(), script)


def test_what_is_superseded_loses_no_conversation() -> None:
    async def script(watched: WatchedWorld) -> None:
        watched.world.natures[model("b").digest] = Nature(loads_in=1000.0)
        await anyio.sleep(SETTLED)
        watched.world.talk("a", Conversation("tea", 900))
        await anyio.sleep(5.0)
        watched.edit(want("b"))
        await anyio.sleep(SETTLED)
        watched.edit(want("a"))
        await anyio.sleep(SETTLED)
        assert watched.world.talk("a", Conversation("tea", 910)) == 900

    run(serving(), script)


def test_who_asks_is_heard_within_a_second_and_told_how_it_ended() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        at = watched.world.clock.wall()
        assert (await watched.ask("apply")).outcome == "in_sync"
        assert watched.world.clock.wall() - at < QUICK

    run(serving(), script)


def test_a_hold_leaves_the_host_alone_until_it_is_resumed() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        assert (await watched.ask("hold", Hold(host=HOST, reason="a game"))).outcome == "in_sync"
        watched.edit(want("b"))
        await anyio.sleep(10_000.0)
        assert serves(watched) == {"a"}
        refused = await watched.ask("apply")
        assert (refused.outcome, refused.exit_code, refused.held, refused.word) == (
            "refused",
            4,
            True,
            "on hold",
        )
        assert "a game" in refused.reasons[0]
        assert any(
            line.startswith("box: on hold; the host is left as it is; held: a game")
            for line in watched.said
        )
        assert (await watched.ask("resume", Resume(host=HOST))).outcome == "applied"
        assert serves(watched) == {"b"}

    run(serving(), script)


def test_a_hold_that_releases_frees_the_host_and_resume_brings_the_conversation_back() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        assert (
            await watched.ask("hold", Hold(host=HOST, reason="a game", release=True))
        ).outcome == "applied"
        await anyio.sleep(10_000.0)
        assert watched.world.units() == []
        assert (await watched.ask("resume", Resume(host=HOST))).outcome == "applied"
        assert watched.world.talk("a", Conversation("tea", 510)) == 500

    run(serving(), script)


def test_a_hold_ends_by_itself_when_its_time_has_come() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        until = watched.world.clock.wall() + 500.0
        await watched.ask("hold", Hold(host=HOST, reason="a game", until=until))
        watched.edit(want("b"))
        await anyio.sleep(450.0)
        assert serves(watched) == {"a"}
        await anyio.sleep(80.0)
        assert serves(watched) == {"b"}
        assert watched.first_effect_after(until) < QUICK

    run(serving(), script)


def test_a_hold_now_ends_a_wait_and_another_hold_does_not() -> None:
    async def script(watched: WatchedWorld) -> None:
        watched.world.natures[model("b").digest] = Nature(loads_in=100.0)
        await anyio.sleep(SETTLED)
        watched.edit(want("b"))
        await anyio.sleep(SETTLED)
        at = watched.world.clock.wall()
        await watched.ask("hold", Hold(host=HOST, reason="a game", now=True))
        assert watched.world.clock.wall() - at < QUICK
        await watched.ask("resume", Resume(host=HOST))
        assert serves(watched) == {"b"}

    run(serving(), script)


def test_leaving_ends_no_engine_and_leaves_the_run_open() -> None:
    watched = serving()
    watched.world.natures[model("b").digest] = Nature(loads_in=100.0)

    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        watched.edit(want("b"))
        await anyio.sleep(SETTLED)

    run(watched, script)
    last = watched.journal.rows()[-1].record
    assert isinstance(last, StepDone)
    assert last.outcome == "cancelled"
    assert [unit.mark.model for unit in watched.world.units() if unit.mark] == ["b"]

    async def again(watched: WatchedWorld) -> None:
        await anyio.sleep(200.0)
        assert serves(watched) == {"b"}

    run(watched, again)
    assert "cut short" in "\n".join(watched.said)


def test_who_read_sooner_than_the_watch_is_answered_for_what_they_read() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        watched.edits.now = wanted(want("b"))
        asked = Asked(host=HOST, trigger="apply", wanted=digest(want("b")))
        assert (await watched.ask_with(asked)).outcome == "applied"
        assert serves(watched) == {"b"}

    run(serving(), script)


def test_who_read_what_is_out_of_date_is_refused_within_seconds() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        at = watched.world.clock.wall()
        refused = await watched.ask_with(
            Asked(host=HOST, trigger="apply", wanted=digest(want("b")))
        )
        assert (refused.outcome, refused.reasons) == ("refused", (host_loop.NOT_READ,))
        assert watched.world.clock.wall() - at < 2 * host_loop.READ_AGAIN_SECONDS

    run(serving(), script)


def test_what_serves_when_a_run_ends_is_told_with_its_address() -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(SETTLED)
        watched.edit(want("b"))
        port = model("b").port
        assert (await watched.ask("apply")).serving == {"b": f"http://127.0.0.1:{port}/v1"}
        watched.edit(want())
        assert (await watched.ask("apply")).serving == {}

    run(serving(), script)
