"""What a pass looks at: cheap facts always, slots only where they matter, a sleeper never."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from reconciler.core.observe_scope import (
    cheap_facts,
    costly_facts,
    found_facts,
    may_run,
    orphan_facts,
    silent_engines,
)
from reconciler.core.recovery import Hints
from reconciler.model.facts import Health, Phase, RestoreAttempt, Saved, Unknown
from reconciler.model.observed import ACTIVITY, FLAGS, HEALTH, ORPHANS, UNIT, Observed
from reconciler.model.records import DueRestart
from tests.sample_worlds import HOST, NO_HINTS, identity, model, saved_slot, slice_of, unit, world

A, B = model("a"), model("b", port=8081)
SLOTS_OF_A = ACTIVITY(HOST, "a")
RUNS = {"a": unit("a")}


def asked(
    active: tuple[str, ...] | None, runs: Any = None, power: Any = None, hints: Hints = NO_HINTS,
    **seen: Any,
) -> bool:  # fmt: skip
    wanted = slice_of(active, A, B, power=power)
    there = world(wanted, RUNS if runs is None else runs, **seen)
    return SLOTS_OF_A in costly_facts(wanted, there, hints)


def saved(*outcomes: Any, pid: int = 100) -> Saved:
    tried = tuple(RestoreAttempt(identity=identity(pid), outcome=outcome) for outcome in outcomes)
    return Saved(slots=(saved_slot("a", attempts=tried),))


SEEN = {"unit", "health", "admitting", "traffic"}
"""What every pass looks at of each model; the last two only where there is a gateway."""


def test_every_pass_reads_the_host_its_ports_and_its_models() -> None:
    keys = cheap_facts(slice_of(("a",), A, B), ("a", "b"))
    assert {key.kind for key in keys if not key.subject} == {
        "contact",
        "power",
        "claim",
        "gpu",
        "orphans",
    }
    assert [key.subject for key in keys if key.kind == "port"] == ["8080", "8081"]
    for name in ("a", "b"):
        of_it = {key.kind for key in keys if key.subject == name}
        assert of_it == {*SEEN, "saved", "weights", "binary", "fingerprint"}
    assert len(set(keys)) == len(keys)


def test_files_are_read_of_models_that_may_be_started_and_of_those_that_run() -> None:
    wanted = slice_of(("a",), A, B)
    keys = cheap_facts(wanted, may_run(wanted, NO_HINTS))
    assert {key.kind for key in keys if key.subject == "b"} == SEEN
    assert {
        key.kind
        for key in cheap_facts(wanted, may_run(wanted, Hints(last_good=slice_of(("b",), A, B))))
        if key.subject == "b"
    } > {"saved"}
    seen = Observed(
        {
            key: fact
            for key in keys
            if not isinstance(fact := world(wanted, {"b": unit("b")}).fact(key), Unknown)
        }
    )
    assert {key.subject for key in found_facts(wanted, seen)} == {"b"}


def test_a_port_that_two_models_share_is_read_once() -> None:
    keys = cheap_facts(slice_of(("a",), A, model("b")), ())
    assert [key.subject for key in keys if key.kind == "port"] == ["8080"]


def test_of_an_orphan_all_is_read_that_its_stop_would_read() -> None:
    wanted = slice_of(("a",), A)
    seen = world(wanted, strays=(unit("gone"), unit("gone", pid=101), unit("a", pid=102)))
    assert orphan_facts(wanted, seen) == (UNIT(HOST, "gone"), HEALTH(HOST, "gone"))


def test_of_orphans_that_cannot_be_seen_nothing_is_read() -> None:
    wanted = slice_of(("a",), A)
    assert orphan_facts(wanted, world(wanted).seeing({ORPHANS(HOST): Unknown("it hid")})) == ()


@pytest.mark.parametrize("phase", get_args(Phase))
def test_only_an_engine_that_did_not_answer_is_asked_again(phase: Phase) -> None:
    wanted = slice_of(("a",), A, B)
    seen = world(wanted, RUNS, health_a=Health(phase=phase))
    assert silent_engines(wanted, seen) == ((HEALTH(HOST, "a"),) if phase == "unresponsive" else ())


def test_the_slots_of_a_model_that_stays_are_left_alone() -> None:
    assert not asked(("a",))
    assert not asked(None)


@pytest.mark.parametrize(
    "wish",
    [{"active": ("b",)}, {"active": ("a",), "power": "off"}, {"active": None, "power": "suspend"}],
)
def test_the_slots_of_a_model_that_is_to_go_are_asked_for(wish: Any) -> None:
    assert asked(**wish)


def test_the_slots_of_a_model_that_is_to_be_replaced_are_asked_for() -> None:
    assert asked(("a",), {"a": unit("a", digest="v1:sha256:" + "0" * 64)})
    assert asked(("a",), saved_a=saved("failed"))


def test_a_model_that_does_not_run_is_not_asked() -> None:
    assert not asked(("b",), runs={})


@pytest.mark.parametrize("phase", ["sleeping", "loading", "unresponsive", "stranger", "absent"])
def test_a_model_that_is_not_ready_is_not_asked(phase: Any) -> None:
    assert not asked(("b",), health_a=Health(phase=phase))


@pytest.mark.parametrize(
    ("tried", "worth"),
    [
        (saved(), True),
        (saved("open"), True),
        (saved("proven"), False),
        (saved("cold"), False),
        (saved("proven", pid=9), True),
    ],
    ids=["never tried", "cut short", "proven", "cold", "proven in another unit"],
)
def test_the_slots_of_a_model_are_asked_for_while_a_conversation_may_be_owed_to_it(
    tried: Saved, worth: bool
) -> None:
    assert asked(("a",), saved_a=tried) is worth


def test_every_saved_slot_that_is_still_to_be_tried_makes_slots_worth_asking_for() -> None:
    done = RestoreAttempt(identity=identity(100), outcome="proven")
    slots = (saved_slot("a", attempts=(done,)), saved_slot("a", slot=1))
    assert asked(("a",), saved_a=Saved(slots=slots))


FLAGS_OF_A = FLAGS(HOST, "a")


def flags_asked(
    active: tuple[str, ...] | None, runs: Any = None, power: Any = None, hints: Hints = NO_HINTS,
    **seen: Any,
) -> bool:  # fmt: skip
    wanted = slice_of(active, A, B, power=power)
    return FLAGS_OF_A in costly_facts(wanted, world(wanted, runs or {}, **seen), hints)


def test_what_is_to_be_restarted_is_looked_into_as_what_is_replaced() -> None:
    due = Hints(restarts={"a": DueRestart(identity=unit("a").identity, asked=1)})
    assert asked(("a",), hints=due)
    assert flags_asked(("a",), RUNS, hints=due)
    another = {"a": unit("a", pid=101)}
    assert not asked(("a",), another, hints=due)
    assert not flags_asked(("a",), another, hints=due)


def test_a_program_is_run_for_its_flags_only_where_it_may_be_started() -> None:
    assert flags_asked(("a",))
    assert flags_asked(("a",), power="on")
    assert flags_asked(("a",), {"a": unit("a", digest="older")})
    assert flags_asked(("a",), RUNS, health_a=Health(phase="unresponsive"))
    assert not flags_asked(("a",), RUNS)
    assert not flags_asked(("a",), RUNS, health_a=Health(phase="locked"))
    assert not flags_asked(("b",))
    assert not flags_asked(None)
    assert not flags_asked(("a",), power="off")
