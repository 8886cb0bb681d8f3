"""What is remembered of the rows that no story of a crash brings about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.core.canonical import digest
from reconciler.core.deadlines import parse_until, said_at
from reconciler.core.policy import aim
from reconciler.core.recovery import Hints, fold
from reconciler.model.observed import Observed
from reconciler.model.records import (
    Adopted,
    Hold,
    HostGone,
    HostReturned,
    Record,
    Restart,
    Row,
    RunClosed,
    RunOpened,
    SentDown,
    ShutdownAccepted,
    StepDone,
    StepIntent,
    TrialOpened,
)
from tests.clocks import instant
from tests.sample_worlds import HOST, PROVENANCE, identity, model, slice_of

WANTED = slice_of(("a",), model("a"))


def after(*records: Record) -> Hints:
    rows = [
        Row(seq=seq, when=instant(100.0), record=record)
        for seq, record in enumerate(records, start=1)
    ]
    return fold(rows).get(HOST, Hints())


def opened(mode: Any = "forward") -> RunOpened:
    return RunOpened(
        host=HOST, mode=mode, slice=WANTED, digest=digest(WANTED), key=digest("key"), generation=3,
        trigger="apply", provenance=PROVENANCE, plan=(),
    )  # fmt: skip


def done(seconds: float, outcome: Any = "done") -> StepDone:
    return StepDone(
        host=HOST, run=1, number=1, step="start", model="a", outcome=outcome, seconds=seconds
    )


ACCEPTED = ShutdownAccepted(host=HOST, run=1, boot_id="boot")


def going(step: str = "shutdown", run: int = 1) -> StepIntent:
    return StepIntent(host=HOST, run=run, number=1, step=step, model="", in_doubt="irreversible")


def went(outcome: Any, step: str = "shutdown", **evidence: Any) -> StepDone:
    return StepDone(
        host=HOST,
        run=1,
        number=1,
        step=step,
        model="",
        outcome=outcome,
        seconds=9.0,
        evidence=evidence,
    )


def sent(**changed: Any) -> SentDown:
    fields: dict[str, Any] = {"state": "off", "run": 1, "asked": instant(100.0)}
    return SentDown(**fields | changed)


def test_an_adopted_host_has_a_last_good_state_without_a_run() -> None:
    known = after(
        Adopted(host=HOST, slice=WANTED, digest=digest(WANTED), generation=1, provenance=PROVENANCE)
    )
    assert (known.last_good, known.generation, known.judged_generation) == (WANTED, 1, 1)
    assert known.open_run is None


def test_a_trial_that_was_begun_proves_nothing_and_is_judged_again() -> None:
    trial = TrialOpened(host=HOST, run=1, units={"a": identity(100)})
    assert after(opened(), trial) == after(opened())


def test_going_back_changes_neither_the_wish_nor_its_generation() -> None:
    known = after(opened("rollback"))
    assert (known.wanted_digest, known.generation) == (None, 0)
    assert known.open_run is not None


def test_going_back_well_makes_good_and_keeps_the_failure() -> None:
    failed = RunClosed(
        host=HOST,
        run=1,
        verdict="failed",
        reason="StartFailed",
        key=digest("key"),
        quarantines=True,
    )
    known = after(
        opened(), failed, opened("rollback"), RunClosed(host=HOST, run=3, verdict="promoted")
    )
    assert known.last_good == WANTED
    assert known.quarantine is not None
    assert known.quarantine.reason == "StartFailed"


def test_an_interrupted_run_is_no_failure() -> None:
    known = after(opened(), RunClosed(host=HOST, run=1, verdict="interrupted"))
    assert (known.open_run, known.quarantine, known.last_good) == (None, None, None)
    assert known.judged_generation == 3
    assert (
        after(
            opened("rollback"), RunClosed(host=HOST, run=1, verdict="interrupted")
        ).judged_generation
        == 0
    )


def test_a_restart_has_one_try_unless_the_run_made_way_or_began_before_it() -> None:
    asked = Restart(host=HOST, model="a", identity=identity(7))
    ends: dict[Any, RunClosed] = {
        verdict: RunClosed(host=HOST, run=2, verdict=verdict)
        for verdict in ("promoted", "failed", "interrupted", "superseded")
    }
    left = {verdict: [*after(asked, opened(), end).restarts] for verdict, end in ends.items()}
    assert left == {"promoted": [], "failed": [], "interrupted": [], "superseded": ["a"]}
    assert [*after(opened(), asked, ends["failed"]).restarts] == ["a"]


def test_the_close_of_a_run_that_was_never_opened_says_nothing() -> None:
    assert replace(after(RunClosed(host=HOST, run=1, verdict="promoted")), newest_at=0.0) == Hints()


def test_only_a_step_that_was_carried_out_says_how_long_it_takes() -> None:
    known = after(done(2.0), done(4.0), done(90.0, "failed"))
    assert known.typical_seconds("start", "a") == 3.0
    assert known.typical_seconds("stop", "a") is None


def test_a_hold_with_an_end_says_when_and_one_without_does_not() -> None:
    observed = Observed()
    moment = said_at(3_000_000.0)
    for until, reason, said in (
        (None, "a game", "held: a game;"),
        (3_000_000.0, "a game", f"held until {moment}: a game;"),
        (3_000_000.0, "", f"held until {moment};"),
        (None, "", "held;"),
    ):
        held = after(Hold(host=HOST, reason=reason, until=until))
        assert aim(WANTED, held, observed, instant(100.0)).reason.startswith(said)
    assert parse_until("--until", moment, 100.0) == 3_000_000.0


def test_a_host_that_was_not_shut_down_is_remembered_as_such() -> None:
    assert after().sent_down is None
    assert (
        after(
            opened(),
            StepIntent(host=HOST, run=1, number=1, step="stop", model="a", in_doubt="once"),
        ).sent_down
        is None
    )


def test_the_intent_to_shut_a_host_down_is_remembered_before_it_is_known_to_have_heard() -> None:
    known = after(going()).sent_down
    assert known == sent()
    assert not known.is_heard
    assert after(going("suspend")).sent_down == sent(state="suspended")


def test_a_host_that_said_it_would_go_down_is_remembered_with_its_boot() -> None:
    known = after(going(), ACCEPTED).sent_down
    assert known == sent(boot_id="boot")
    assert known.is_heard


def test_an_answer_without_a_question_is_no_way_down() -> None:
    assert after(ACCEPTED).sent_down is None


def test_to_cut_the_power_of_a_host_that_accepted_is_no_other_way_than_it_was_on() -> None:
    assert after(going(), ACCEPTED, going()).sent_down == sent(boot_id="boot")


def test_another_run_asks_again() -> None:
    assert after(going(), ACCEPTED, going("suspend", run=2)).sent_down == sent(
        state="suspended", run=2
    )


def test_a_run_that_was_not_heard_asks_again() -> None:
    assert after(going(), going("suspend")).sent_down == sent(state="suspended")


def test_a_host_that_was_seen_to_be_down_is_remembered_with_who_saw_it() -> None:
    assert after(going(), ACCEPTED, went("done", seen="its plug draws 1 W")).sent_down == sent(
        boot_id="boot", seen="its plug draws 1 W"
    )
    assert after(going(), ACCEPTED, went("done", "await_down", seen="silence")).sent_down == sent(
        boot_id="boot", seen="silence"
    )
    skipped = went("skipped", "await_down", seen="silence")
    assert after(going(), ACCEPTED, skipped).sent_down == sent(boot_id="boot", seen="silence")


def test_a_host_that_a_later_controller_saw_to_be_down_is_remembered_with_how() -> None:
    gone = HostGone(host=HOST, because="it was silent for long enough")
    assert after(going(), ACCEPTED, gone).sent_down == sent(
        boot_id="boot", seen="it was silent for long enough"
    )
    assert after(gone).sent_down is None


def test_a_host_that_did_not_go_and_never_said_so_was_not_sent_down() -> None:
    assert after(going(), went("failed")).sent_down is None
    assert after(going(), ACCEPTED, went("failed")).sent_down == sent(boot_id="boot")


def test_what_is_done_before_a_host_goes_down_changes_nothing_of_its_way() -> None:
    assert after(going(), ACCEPTED, went("done", "stop")).sent_down == sent(boot_id="boot")


def test_a_host_that_answers_or_was_woken_is_down_no_more() -> None:
    down = (going(), ACCEPTED, went("done", seen="its plug draws 1 W"))
    assert after(*down, HostReturned(host=HOST, boot_id="another boot")).sent_down is None
    assert after(*down, went("done", "wake")).sent_down is None
    assert after(*down, went("skipped", "wake")).sent_down is None


def test_a_host_that_did_not_wake_is_still_down() -> None:
    down = (going(), ACCEPTED, went("done", seen="its plug draws 1 W"))
    assert after(*down, went("failed", "wake")).sent_down == sent(
        boot_id="boot", seen="its plug draws 1 W"
    )
