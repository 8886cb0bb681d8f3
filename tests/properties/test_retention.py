"""Whatever is written and forgotten, what is kept says the same of every host."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints, fold
from reconciler.core.retention import Outline, Retention, carried, first_kept, surplus_passing
from reconciler.model.leasing import Idled, Leased, Released, Roused, Term
from reconciler.model.records import (
    Adopted,
    Hold,
    HostGone,
    HostReturned,
    Record,
    Restart,
    Resume,
    Retry,
    RollBack,
    Row,
    RunClosed,
    RunOpened,
    ShutdownAccepted,
    StepDone,
    StepIntent,
    TrialOpened,
)
from reconciler.store.journal_file import JournalFile
from tests.clocks import StoppedClock, instant
from tests.sample_worlds import PROVENANCE, identity, model, slice_of

SLICES = [
    slice_of((), model("a")),
    slice_of(("a",), model("a")),
    slice_of(None, model("a"), model("b")),
]
DIGESTS = [digest(slice_) for slice_ in SLICES]
FEW = Retention(runs=3, passing=2, seconds=100.0, slack=0.0)

HOSTS = st.sampled_from(["box", "den"])
MODELS = st.sampled_from(["a", "b"])
RUNS = st.integers(1, 12)
WISHES = st.integers(0, 2).map(lambda index: {"slice": SLICES[index], "digest": DIGESTS[index]})
KEYS = st.sampled_from(DIGESTS)
STEPS = st.sampled_from(
    ["start", "stop", "await_healthy", "shutdown", "suspend", "await_down", "wake"]
)
SECONDS = st.floats(0, 60)
TERMS = st.builds(Term, by=st.just("ann"), until=st.floats(0, 9e3))


def run_opened(host: str, wish: dict[str, Any], mode: Any, key: str, generation: int) -> RunOpened:
    return RunOpened(
        host=host,
        mode=mode,
        key=key,
        generation=generation,
        trigger="apply",
        provenance=PROVENANCE,
        plan=("start a",),
        **wish,
    )


OPENED = st.builds(
    run_opened,
    HOSTS,
    WISHES,
    st.sampled_from(["forward", "rollback", "heal", "release", "lease", "idle"]),
    KEYS,
    st.integers(1, 5),
)
CLOSED = st.builds(
    RunClosed, host=HOSTS, run=RUNS, verdict=st.sampled_from(["promoted", "failed", "interrupted"]),
    reason=st.just("Failed"), key=st.none() | KEYS, quarantines=st.booleans(),
    log=st.just(("last line",)),
)  # fmt: skip
RECORDS: st.SearchStrategy[Record] = st.one_of(
    OPENED,
    OPENED,
    CLOSED,
    st.builds(
        StepIntent, host=HOSTS, run=RUNS, number=RUNS, step=STEPS, model=MODELS,
        in_doubt=st.just("once"),
    ),
    st.builds(
        StepDone, host=HOSTS, run=RUNS, number=RUNS, step=STEPS, model=MODELS,
        outcome=st.sampled_from(["done", "failed"]), seconds=SECONDS,
    ),
    st.builds(ShutdownAccepted, host=HOSTS, run=RUNS, boot_id=st.just("boot")),
    st.builds(HostReturned, host=HOSTS, boot_id=st.just("boot")),
    st.builds(HostGone, host=HOSTS, because=st.just("its plug draws 1 W")),
    st.builds(TrialOpened, host=HOSTS, run=RUNS, units=st.just({"a": identity(7)})),
    st.builds(
        lambda host, wish: Adopted(host=host, generation=1, provenance=PROVENANCE, **wish),
        HOSTS, WISHES,
    ),
    st.builds(Retry, host=HOSTS),
    st.builds(Restart, host=HOSTS, model=MODELS, identity=st.just(identity(7))),
    st.builds(
        Hold, host=HOSTS, reason=st.just("a game"), until=st.none() | st.floats(0, 9e3),
        release=st.booleans(),
    ),
    st.builds(Resume, host=HOSTS),
    st.builds(Leased, host=HOSTS, model=MODELS, wanted=KEYS, term=st.none() | TERMS),
    st.builds(
        Released, host=HOSTS, model=MODELS, because=st.just("unused"), failed=st.none() | KEYS
    ),
    st.builds(Idled, host=HOSTS, then=st.just("off"), wanted=KEYS, boot_id=st.just("boot")),
    st.builds(Roused, host=HOSTS, because=st.just("asked"), failed=st.none() | KEYS),
    st.builds(lambda host, wish, key: RollBack(host=host, leaves=key, **wish), HOSTS, WISHES, KEYS),
)  # fmt: skip
PASSING = st.floats(-50, 150)
"""Seconds until the next row: a wall clock may be set back."""


def known(rows: Iterable[Row]) -> dict[str, Hints]:
    """Return all that is known but durations and the moment, of hosts of which anything is."""
    hints = {
        host: replace(hints, durations={}, newest_at=0.0) for host, hints in fold(rows).items()
    }
    return {host: one for host, one in hints.items() if one != Hints()}


def outlines(rows: Iterable[Row]) -> list[Outline]:
    opened = ((row, row.record) for row in rows)
    return [
        Outline(row.seq, row.at, record.host, record.mode, record.generation)
        if isinstance(record, RunOpened)
        else Outline(row.seq, row.at, record.host)
        for row, record in opened
    ]


def written(records: Iterable[tuple[Record, float]]) -> list[Row]:
    rows: list[Row] = []
    for record, passed in records:
        rows.append(
            Row(
                seq=len(rows) + 1,
                when=instant((rows[-1].at if rows else 1000.0) + passed),
                record=record,
            )
        )
    return rows


@given(st.lists(st.tuples(RECORDS, PASSING), min_size=1, max_size=30), st.data())
def test_what_is_restated_makes_up_for_any_rows_that_are_forgotten(
    records: Any, chance: Any
) -> None:
    rows = written(records)
    are_kept = chance.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    kept = [row for row, is_kept in zip(rows, are_kept, strict=True) if is_kept]
    carry = carried(rows, kept)
    restated = [Row(seq=rows[-1].seq + 1, when=instant(0.0), record=record) for record in carry]
    assert known([*kept, *restated]) == known(rows)


@given(st.lists(st.tuples(RECORDS, PASSING), min_size=1, max_size=30), PASSING)
def test_neither_more_runs_nor_older_rows_than_allowed_are_kept_and_none_is_forgotten_early(
    records: Any, passed: float
) -> None:
    rows = written(records)
    now = rows[-1].at + passed
    first = first_kept(outlines(rows), now, FEW)
    kept = rows[first - 1 :]
    runs = [row for row in kept if isinstance(row.record, RunOpened)]
    assert kept
    assert len(runs) < FEW.runs
    oldest = min(now, rows[-1].at) - FEW.seconds
    # Where the clock was set back, a row is as young as the youngest before it.
    assert max(row.at for row in rows[:first]) >= oldest
    too_many = len([row for row in rows if isinstance(row.record, RunOpened)]) >= FEW.runs
    assert first == 1 or rows[first - 2].at < oldest or (too_many and len(runs) == FEW.runs - 1)


RUNS_OF_ONE = st.lists(
    st.tuples(st.sampled_from(["forward", "rollback", "lease", "idle"]), st.integers(1, 3)),
    max_size=40,
)  # fmt: skip


@given(RUNS_OF_ONE, st.integers(2, 6))
def test_runs_that_come_and_go_with_requests_push_out_nothing_else(
    runs: list[tuple[Any, int]], most: int
) -> None:
    told = [Outline(seq, 0.0, "box", *run) for seq, run in enumerate(runs, 1)]
    few = Retention(passing=most, slack=0.0)
    gone = surplus_passing(told, few)
    left = [outline for outline in told if outline.seq not in gone]
    assert len([one for one in left if one.mode in {"lease", "idle"}]) < max(most, 2)
    kept_of_them = len(surplus_passing(told, Retention(passing=2, slack=0.0))) + 1 - len(gone)
    assert not gone or kept_of_them == most - 1, "more than too much is forgotten"
    wishes = [one for one in told if one.mode == "rollback"]
    wish_again = [one for one in told if one.mode == "forward"]
    news = {one.generation: one for one in reversed(wish_again)}.values()
    assert {one.seq for one in (*wishes, *news)}.isdisjoint(gone), "what people did is forgotten"


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(RECORDS, PASSING), min_size=1, max_size=25))
def test_a_journal_that_forgets_says_what_one_that_keeps_everything_says(records: Any) -> None:
    clock = StoppedClock()
    with tempfile.TemporaryDirectory() as folder:
        short = JournalFile(Path(folder, "short"), clock, FEW)
        whole: list[Row] = []
        for record, passed in records:
            clock.now += passed
            whole.append(short.append(record))
            assert known(short.rows()) == known(whole)
        assert len([row for row in short.rows() if isinstance(row.record, RunOpened)]) <= FEW.runs
