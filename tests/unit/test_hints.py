"""What is remembered of the rows that no story of a crash brings about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.core.canonical import digest
from reconciler.core.moments import parse_until, said_at
from reconciler.core.policy import aim
from reconciler.core.recovery import Hints, fold
from reconciler.model.facts import Observed
from reconciler.model.records import Adopted, Hold, Record, Row, RunClosed, RunOpened, StepDone, TrialOpened
from tests.clocks import instant
from tests.worlds import HOST, PROVENANCE, identity, model, slice_of

WANTED = slice_of(("a",), model("a"))


def after(*records: Record) -> Hints:
    rows = [Row(seq=seq, when=instant(100.0), record=record) for seq, record in enumerate(records, start=1)]
    return fold(rows).get(HOST, Hints())


def opened(mode: Any = "forward") -> RunOpened:
    return RunOpened(
        host=HOST, mode=mode, slice=WANTED, digest=digest(WANTED), key=digest("key"), generation=3, trigger="apply",
        provenance=PROVENANCE, plan=(),
    )  # fmt: skip


def done(seconds: float, outcome: Any = "done") -> StepDone:
    return StepDone(host=HOST, run=1, number=1, step="start", model="a", outcome=outcome, seconds=seconds)


def test_an_adopted_host_has_a_last_good_state_without_a_run() -> None:
    known = after(Adopted(host=HOST, slice=WANTED, digest=digest(WANTED), generation=1, provenance=PROVENANCE))
    assert (known.last_good, known.generation, known.judged_generation) == (WANTED, 1, 1)
    assert known.open_run is None


def test_a_trial_that_was_begun_proves_nothing_and_is_judged_anew() -> None:
    trial = TrialOpened(host=HOST, run=1, units={"a": identity(100)})
    assert after(opened(), trial) == after(opened())


def test_going_back_changes_neither_the_wish_nor_its_generation() -> None:
    known = after(opened("rollback"))
    assert (known.wanted_digest, known.generation) == (None, 0)
    assert known.open_run is not None


def test_going_back_well_makes_good_and_keeps_the_failure() -> None:
    failed = RunClosed(host=HOST, run=1, verdict="failed", reason="StartFailed", key=digest("key"), quarantines=True)
    known = after(opened(), failed, opened("rollback"), RunClosed(host=HOST, run=3, verdict="promoted"))
    assert known.last_good == WANTED
    assert known.quarantine is not None
    assert known.quarantine.reason == "StartFailed"


def test_an_interrupted_run_is_no_failure() -> None:
    known = after(opened(), RunClosed(host=HOST, run=1, verdict="interrupted"))
    assert (known.open_run, known.quarantine, known.last_good) == (None, None, None)
    assert known.judged_generation == 3
    assert after(opened("rollback"), RunClosed(host=HOST, run=1, verdict="interrupted")).judged_generation == 0


def test_the_close_of_a_run_that_nobody_opened_says_nothing() -> None:
    assert replace(after(RunClosed(host=HOST, run=1, verdict="promoted")), newest_at=0.0) == Hints()


def test_only_a_step_that_was_carried_out_says_how_long_it_takes() -> None:
    known = after(done(2.0), done(4.0), done(90.0, "failed"))
    assert known.typical_seconds("start", "a") == 3.0
    assert known.typical_seconds("stop", "a") is None


def test_a_hold_with_an_end_says_when_and_one_without_does_not() -> None:
    observed = Observed()
    for until, said in ((None, "held: a game;"), (3_000_000.0, f"held until {said_at(3_000_000.0)}: a game;")):
        held = after(Hold(host=HOST, reason="a game", until=until))
        assert aim(WANTED, held, observed, instant(100.0)).held.startswith(said)
    assert parse_until(said_at(3_000_000.0), 100.0) == 3_000_000.0
