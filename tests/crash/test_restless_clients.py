"""Clients that ask on and on: what they said is saved, or counted and told as lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reconciler.fakes.engine import FakeEngine
from reconciler.fakes.ports import FakeDrivers
from reconciler.fakes.processes import Chatter, Conversation, Nature
from reconciler.model.facts import Activity, Unit
from reconciler.model.records import Retry, RunClosed, RunOpened, StepDone
from reconciler.model.verdict import HostVerdict
from reconciler.ports import Evidence
from tests.crash.stage import A, Stage, serving_a, want
from tests.crash.story import TEA, wants

DRAIN_SECONDS = 60.0


def talking(chatter: Chatter, slots: int = 1) -> Stage:
    """Return a stage where every slot of a has such a client, and b is wanted."""
    stage = Stage()
    stage.world.natures[A.digest] = Nature(slots=slots)
    stage.ends("applied")
    for number in range(slots):
        stage.world.talk("a", Conversation(f"client {number}", 500), chatter.answer, chatter)
        stage.world.clock.now += 0.3
    return wants(stage, "b")


def steps(stage: Stage) -> Sequence[tuple[str, str]]:
    done = [row.record for row in stage.kept().rows() if isinstance(row.record, StepDone)]
    return [(one.step, one.outcome) for one in done if one.model == "a"][1:]


def ended(stage: Stage) -> tuple[HostVerdict, float]:
    began = stage.world.clock.boot()
    verdict = stage.ends("applied")
    assert stage.world.violations == []
    return verdict, stage.world.clock.boot() - began


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize(
    "chatter", [Chatter(1.4, 0.1), Chatter(0.7, 0.8), Chatter(0.05, 0.05), Chatter(1e6, 1.0)]
)
def test_what_clients_that_do_not_stop_asking_lose_is_counted_and_is_no_success(
    chatter: Chatter, slots: int
) -> None:
    stage = talking(chatter, slots)
    verdict, seconds = ended(stage)
    assert len(stage.world.lost) == verdict.lost_conversations == slots
    assert verdict.exit_code == 3
    were = "1 conversation was" if slots == 1 else "4 conversations were"
    assert verdict.notes == (f"a: {were} lost that the plan meant to keep",)
    assert DRAIN_SECONDS <= seconds < DRAIN_SECONDS + 15
    closed = [row.record for row in stage.kept().rows() if isinstance(row.record, RunClosed)][-1]
    assert (closed.notes, closed.lost_conversations) == (verdict.notes, slots)


@pytest.mark.parametrize("pause", [0.01, 0.1, 0.8])
def test_clients_that_end_while_they_are_waited_for_lose_nothing(pause: float) -> None:
    stage = talking(Chatter(0.7, pause, until=DRAIN_SECONDS / 2), slots=4)
    verdict, seconds = ended(stage)
    assert (verdict.exit_code, verdict.notes, stage.world.lost) == (0, (), [])
    assert seconds < DRAIN_SECONDS
    assert len(stage.world.files) == 4


def test_a_single_look_that_meets_no_slot_busy_does_not_end_the_drain() -> None:
    stage = talking(Chatter(0.9, 0.1))
    stage.world.clock.now = stage.world.units("a")[0].places[0].busy_until - 0.45
    verdict, seconds = ended(stage)
    assert steps(stage)[:2] == [("await_healthy", "done"), ("drain", "gave-up")]
    assert (seconds >= DRAIN_SECONDS, verdict.exit_code) == (True, 3)


class Overtaken(FakeEngine):
    """An engine whose client asks once more just before a save, the first so many times."""

    times = 2

    async def save(self, unit: Unit, activity: Activity, keep: tuple[str, ...] = ()) -> Evidence:
        if Overtaken.times:
            Overtaken.times -= 1
            self.host.world.talk("a", Conversation(TEA.name, TEA.tokens + 100), seconds=4.0)
        return await super().save(unit, activity, keep)


def test_a_save_that_finds_a_slot_in_use_waits_for_its_client_and_saves_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Overtaken, "times", 2)
    stage = wants(serving_a(), "b")
    stage.parts = FakeDrivers(engine=Overtaken)
    verdict, _ = ended(stage)
    assert (verdict.exit_code, stage.world.lost) == (0, [])
    again = [("save_slots", "missed"), ("drain", "done")]
    assert steps(stage)[1:] == [
        ("drain", "skipped"),
        *again,
        *again,
        ("save_slots", "done"),
        ("stop", "done"),
    ]
    assert "waiting for its clients once more" in " ".join(stage.said)


def test_a_save_that_is_overtaken_again_and_again_ends_when_the_drain_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Overtaken, "times", 1000)
    stage = wants(serving_a(), "b")
    stage.parts = FakeDrivers(engine=Overtaken)
    verdict, seconds = ended(stage)
    assert (verdict.exit_code, verdict.lost_conversations) == (3, 1)
    assert DRAIN_SECONDS <= seconds < DRAIN_SECONDS + 15


@pytest.mark.parametrize(
    ("room", "lost"), [(2 * 510_000, 2), (510_000, 3), (0, 4), (4 * 510_000, 0)]
)
def test_what_the_plan_said_there_is_no_room_for_is_lost_as_it_said_and_nothing_else(
    room: int, lost: int
) -> None:
    stage = talking(Chatter(1.0, 1.0, until=0.0), slots=4)
    stage.world.shelf_bytes = room
    stage.world.clock.now += 60
    verdict, _ = ended(stage)
    assert len(stage.world.lost) == lost
    assert (verdict.exit_code, verdict.notes, verdict.lost_conversations) == (0, (), 0)
    opened = [row.record for row in stage.kept().rows() if isinstance(row.record, RunOpened)][-1]
    assert bool(opened.notes) == bool(lost)
    assert all("cannot be saved: " in note and "make space there" in note for note in opened.notes)


class Filled(FakeEngine):
    """An engine whose folder somebody else fills just before the save."""

    async def save(self, unit: Unit, activity: Activity, keep: tuple[str, ...] = ()) -> Evidence:
        self.host.world.shelf_bytes = 0
        return await super().save(unit, activity, keep)


def test_room_that_is_gone_since_the_plan_was_made_is_a_loss_against_the_plan() -> None:
    stage = wants(serving_a(), "b")
    stage.parts = FakeDrivers(engine=Filled)
    stage.world.shelf_bytes = 10**9
    verdict, _ = ended(stage)
    assert (verdict.exit_code, verdict.lost_conversations) == (3, 1)


def test_a_conversation_that_is_in_a_file_is_not_given_up_for_one_that_is_not() -> None:
    stage = talking(Chatter(1.0, 1.0, until=0.0), slots=2)
    stage.world.clock.now += 60
    stage.world.faults["stop"] = "refuses"
    stage.ends("rolled_back")
    stage.world.faults.clear()
    sealed = {file.sidecar.file for file in stage.world.files if file.sidecar}
    assert len(sealed) == 2
    stage.world.shelf_bytes = 2 * 510_000
    stage.world.talk("a", Conversation("client 1", 900))
    stage.kept().append(Retry(host="box"))
    ended(stage)
    kept = [file.holds for file in stage.world.files if file.holds]
    assert Conversation("client 0", 500) in kept


def test_an_engine_that_is_idle_is_looked_at_once_more_and_not_waited_for() -> None:
    stage = wants(serving_a(), "b")
    began = stage.world.clock.boot()
    life, verdict = stage.command()
    assert verdict is not None
    assert verdict.exit_code == 0
    before_the_stop = life.calls[: life.calls.index("stop")]
    # The plan, the second look, what is saved, and once more right before the stop.
    assert before_the_stop.count("activity") == 4
    assert stage.world.clock.boot() - began < 5.0
    assert ("drain", "skipped") in steps(stage)


def test_what_a_model_that_drops_its_conversations_held_is_no_loss_against_the_plan() -> None:
    stage = serving_a()
    dropping = A.model_copy(update={"conversations": "drop"})
    stage.wanted = want("b").model_copy(update={"models": (dropping, *want("b").models[1:])})
    verdict, _ = ended(stage)
    assert (verdict.exit_code, verdict.notes) == (0, ())
