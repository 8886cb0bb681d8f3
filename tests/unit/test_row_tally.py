"""What the rows of a journal add up to."""

from __future__ import annotations

from typing import Any

from reconciler.core.row_tally import RowTally
from reconciler.model.leasing import Leased, Released, Term
from reconciler.model.records import (
    Adopted,
    Carried,
    Instant,
    Lease,
    Record,
    Resume,
    Row,
    RunClosed,
    StepDone,
)
from reconciler.render.exposition import exposition
from tests.runs import run_opened

DIGEST = "v1:slice:00000000"
SLOTS: list[Any] = [{"slot": 0, "tokens": 40}, {"slot": 1}, "strange"]


def tallied(*records: tuple[float, Record], since: float = 0.0) -> set[str]:
    """What is said of rows with their times, without what is zero."""
    tally = RowTally(since)
    for number, (at, record) in enumerate(records, 1):
        tally.take(Row(seq=number, when=Instant(at=at, boot_id="b", boot=at), record=record))
        assert tally.newest == number
    lines = exposition(tally.families()).splitlines()
    return {
        line.removeprefix("reconciler_") for line in lines if line[0] != "#" and line[-2:] != " 0"
    }


def done(step: str, **more: Any) -> StepDone:
    given = {"model": "a", "outcome": "done", "seconds": 2.0, **more}
    return StepDone(host="h", run=1, number=0, step=step, **given)


def carried(**more: Any) -> Carried:
    given: dict[str, Any] = {
        "last_good": None, "last_good_digest": None, "wanted_digest": None, "generation": 1,
        "judged_generation": 1, "judged_at": None, "quarantine": None, "open_run": None,
        "unproven": (), **more,
    }  # fmt: skip
    return Carried(host="h", **given)


def test_a_run_is_counted_when_it_is_over_with_what_served_before() -> None:
    opened, closed = run_opened("h"), RunClosed(host="h", run=1, verdict="promoted")
    again = run_opened("h").model_copy(update={"slice": opened.slice, "mode": "lease"})
    seen = tallied(
        (1.0, opened), (4.0, closed), (5.0, again), (6.0, closed.model_copy(update={"run": 3}))
    )
    first = 'host="h",from="",to="a",mode="forward",result="promoted"'
    second = 'host="h",from="a",to="a",mode="lease",result="promoted"'
    assert {f"switches_total{{{first}}} 1", f"switches_total{{{second}}} 1"} <= seen
    assert 'switch_seconds_sum{host="h",mode="forward"} 3' in seen


def test_steps_restores_and_their_tokens_are_counted() -> None:
    restored = done("restore_slots", evidence={"slots": SLOTS})
    seen = tallied((1.0, done("stop")), (2.0, restored), (3.0, done("restore_slots")))
    assert 'step_seconds_sum{step="stop",outcome="done"} 2' in seen
    assert 'restores_total{model="a",outcome="done"} 2' in seen
    assert 'restored_tokens_total{model="a"} 40' in seen


def test_a_wake_is_timed_by_the_drivers_that_were_asked() -> None:
    seen = tallied(
        (1.0, done("wake", model="", evidence={"by": ["wol", "redfish"]})),
        (2.0, done("wake", model="", seconds=9.0)),
        (3.0, done("wake", model="", outcome="failed")),
    )
    assert 'wake_seconds_sum{host="h",driver="wol+redfish"} 2' in seen
    assert 'wake_seconds_sum{host="h",driver=""} 9' in seen, "a row of an earlier version"
    assert not any('wake_seconds_count{host="h",driver=""} 2' in line for line in seen)


def test_the_memory_that_a_card_held_last_is_told() -> None:
    weighed = {"before_stop": {"0": 800, "1": 5}, "after_stop": {"0": 0}, "strange": 1}
    seen = tallied(
        (1.0, done("stop", evidence={"card_memory": weighed})),
        (2.0, done("stop", evidence={"card_memory": {"before_stop": {"0": 900}}})),
    )
    assert 'gpu_memory_bytes{host="h",card="0",moment="before_stop"} 900' in seen
    assert 'gpu_memory_bytes{host="h",card="1",moment="before_stop"} 5' in seen


def test_leases_are_counted_by_who_had_them_and_how_they_ended() -> None:
    def leased(term: Term | None = None) -> Leased:
        return Leased(host="h", model="b", wanted=DIGEST, term=term)

    released = Released(host="h", model="b", because="over")
    failed = released.model_copy(update={"failed": DIGEST})
    seen = tallied(
        (1.0, leased()), (2.0, released),
        (3.0, leased(Term(by="me", until=9.0))), (4.0, failed), (5.0, Resume(host="h")),
    )  # fmt: skip
    assert 'leases_total{model="b",owner="requests",end="over"} 1' in seen
    assert 'leases_total{model="b",owner="person",end="failed"} 1' in seen


def test_what_served_before_is_known_also_without_its_run() -> None:
    opened, closed = run_opened("h"), RunClosed(host="h", run=2, verdict="promoted")
    first = 'from="a",to="a",mode="forward",result="promoted"'
    adopted = Adopted(
        host="h", slice=opened.slice, digest=DIGEST, generation=1, provenance=opened.provenance
    )
    assert f'switches_total{{host="h",{first}}} 1' in tallied(
        (1.0, adopted), (2.0, opened), (3.0, closed)
    )
    assert f'switches_total{{host="h",{first}}} 1' in tallied(
        (1.0, carried(last_good=opened.slice)), (2.0, opened), (3.0, closed)
    )


def test_who_had_a_lease_is_known_also_without_its_row() -> None:
    since = Instant(at=0.0, boot_id="b", boot=0.0)
    released = Released(host="h", model="b", because="over")
    seen = tallied((1.0, carried(leases={"b": Lease(wanted=DIGEST, since=since)})), (2.0, released))
    assert seen == {'leases_total{model="b",owner="requests",end="over"} 1'}


def test_what_was_before_moves_no_number_and_is_known() -> None:
    opened, closed = run_opened("h"), RunClosed(host="h", run=1, verdict="promoted")
    early = Released(host="h", model="b", because="over")
    rows = ((1.0, opened), (2.0, done("stop")), (3.0, closed), (4.0, early))
    assert tallied(*rows, since=10.0) == set()
    later = (*rows, (11.0, opened), (12.0, closed.model_copy(update={"run": 5})))
    counts = {line for line in tallied(*later, since=10.0) if "total" in line}
    known = 'host="h",from="a",to="a",mode="forward",result="promoted"'
    assert counts == {f"switches_total{{{known}}} 1"}


def test_the_end_of_a_run_that_is_not_kept_is_no_switch() -> None:
    assert tallied((1.0, RunClosed(host="h", run=7, verdict="failed"))) == set()
