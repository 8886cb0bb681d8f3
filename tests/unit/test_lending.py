"""What requests may bring in, in place of what, and what of it the journal remembers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import lending, phrases, policy
from reconciler.core.attempts import attempt_key
from reconciler.core.canonical import digest
from reconciler.core.deadlines import said_at
from reconciler.core.expiry import TOLERATED_JUMP_SECONDS
from reconciler.core.projection import host_status
from reconciler.core.recovery import Hints, after
from reconciler.core.report.conditions import host_conditions
from reconciler.core.report.explain import of_host, of_model
from reconciler.loop.survey import planned
from reconciler.model.explanation import Explanation
from reconciler.model.leasing import Leased, Released, Term
from reconciler.model.lending import Rules
from reconciler.model.observed import Observed
from reconciler.model.records import (
    Held,
    Hold,
    Lease,
    Quarantine,
    Record,
    Retry,
    Row,
    RunClosed,
    RunOpened,
    StepDone,
    Verdict,
)
from reconciler.model.spec import Slice
from tests.clocks import instant
from tests.sample_worlds import HOST, OURS, PROVENANCE, model, slice_of, unit, world

A, B, C = model("a"), model("b"), model("c")
D = model("d", port=8081, gpus=(1,))
E = model("e", port=8082, task="embedding")
L = model("l")
ALL = (A, B, C, D, E, L)
ANY = Rules(allow=tuple(one.name for one in ALL))
NOW = instant(100.0)
HOUR = 3600.0


def wants(*active: str, **changed: Any) -> Slice:
    return slice_of(active, *ALL, **changed)


def leased(wanted: Slice, *names: str, **known: Any) -> Hints:
    leases = {name: Lease(wanted=digest(wanted), since=instant(1.0)) for name in names}
    return Hints(leases=leases, **known)


def taken(wanted: Slice, name: str, until: float, **known: Any) -> Hints:
    """What is known after ann took a model at 1 s, and before that requests brought in others."""
    term = Term(by="ann", reason="tests", until=until)
    before = known.pop("leases", {})
    lease = Lease(wanted=digest(wanted), since=instant(1.0), term=term)
    return Hints(leases={**before, name: lease}, **known)


def failed(wanted: Slice, reason: str = "StartFailed") -> Quarantine:
    key = attempt_key(wanted, digest(wanted), Observed())
    return Quarantine(key=key, reason=reason, message="it died", run=1, since=instant(90.0))


LEASE = Lease(wanted=digest(wants("a")), since=instant(1.0))
LATER = {"c": Lease(wanted=digest(wants("a")), since=instant(50.0))}
GOOD: dict[str, Any] = {"last_good": wants("l"), "last_good_digest": digest(wants("l"))}
HELD = Held(hold=Hold(host=HOST, reason="a game"), since=instant(1.0))
FREED = Held(hold=Hold(host=HOST, reason="a game", release=True), since=instant(1.0))
ONE = wants("a")
BESIDE = slice_of(("a", "d"), model("a", gpus=(0,)), model("b", gpus=(0,)), D)
ON_ITS_PORT = slice_of(("a", "e"), A, E, model("b", port=E.port, gpus=(1,)))

ON_CARDS = slice_of(
    ("a", "e"), model("a", gpus=(0,)), E, model("b", port=E.port, gpus=(1,))
)  # fmt: skip
OVER = Hold(host=HOST, reason="a game", until=50.0)


ROWS: dict[str, tuple[Slice, Rules, Hints, tuple[str, ...] | None, str]] = {
    "nothing is lent": (ONE, ANY, Hints(), ("a",), "forward"),
    "held": (ONE, ANY, leased(ONE, "b", held=HELD), None, "forward"),
    "held and freed": (ONE, ANY, leased(ONE, "b", held=FREED), (), "release"),
    "failed, with a last good": (ONE, ANY, Hints(quarantine=failed(ONE), **GOOD), ("l",), "heal"),
    "failed, without": (ONE, ANY, Hints(quarantine=failed(ONE)), None, "forward"),
    "failed, without, and lent": (
        ONE, ANY, leased(ONE, "b", quarantine=failed(ONE)), ("b",), "lease",
    ),
    "failed beside what is lent": (
        ONE, ANY, leased(ONE, "e", quarantine=failed(ONE)), ("e",), "lease",
    ),
    "failed by its power": (
        ONE, ANY, leased(ONE, "b", quarantine=failed(ONE, "WakeFailed")), None, "forward",
    ),
    "failed, and lent": (
        ONE, ANY, leased(ONE, "b", quarantine=failed(ONE), **GOOD), ("b",), "lease",
    ),
    "lent": (ONE, ANY, leased(ONE, "b"), ("b",), "lease"),
    "not allowed any more": (ONE, Rules(), leased(ONE, "b"), ("a",), "forward"),
    "another one is allowed": (ONE, Rules(allow=("b",)), leased(ONE, "c"), ("a",), "forward"),
    "an embedding stays": (
        wants("a", "e"), ANY, leased(wants("a", "e"), "b"), ("b", "e"), "lease",
    ),
    "another card stays": (BESIDE, ANY, leased(BESIDE, "b"), ("b", "d"), "lease"),
    "its port is taken": (
        ON_ITS_PORT, ANY, leased(ON_ITS_PORT, "b"), ("b",), "lease",
    ),
    "an embedding comes beside": (ONE, ANY, leased(ONE, "e"), ("a", "e"), "lease"),
    "of nothing": (wants(), ANY, leased(wants(), "b"), ("b",), "lease"),
    "the file changed": (wants("c"), ANY, leased(ONE, "b"), ("c",), "forward"),
    "the newest of two rivals": (ONE, ANY, leased(ONE, "c", "b"), ("b",), "lease"),
    "two that are no rivals": (ONE, ANY, leased(ONE, "b", "e"), ("b", "e"), "lease"),
    "lent is what the file wants": (ONE, ANY, leased(ONE, "a"), ("a",), "forward"),
    "taken by a person": (ONE, ANY, taken(ONE, "b", HOUR), ("b",), "lease"),
    "taken, and not allowed to requests": (ONE, Rules(), taken(ONE, "b", HOUR), ("b",), "lease"),
    "taken, and over": (ONE, ANY, taken(ONE, "b", 99.0), ("a",), "forward"),
    "taken, over by wall, the clock behind": (
        ONE, ANY, taken(ONE, "b", 99.0, newest_at=HOUR), ("b",), "lease",
    ),
    "taken, and the file changed": (wants("c"), ANY, taken(ONE, "b", HOUR), ("c",), "forward"),
    "taken, and held": (ONE, ANY, taken(ONE, "b", HOUR, held=HELD), None, "forward"),
    "taken, and requests brought in a rival later": (
        ONE, ANY, taken(ONE, "b", HOUR, leases=LATER), ("b",), "lease",
    ),
    "taken is what the file wants": (ONE, ANY, taken(ONE, "a", HOUR), ("a",), "forward"),
    "taken is what the file wants, which keeps rivals out": (
        ONE, ANY, taken(ONE, "a", HOUR, leases=LATER), ("a",), "forward",
    ),
    "taken, and a retry is due": (
        ONE, ANY, taken(ONE, "b", HOUR, quarantine=failed(ONE)), ("b",), "lease",
    ),
    "left by a person, and lent": (
        ONE, ANY, leased(ONE, "b", quarantine=failed(ONE, "RolledBack"), **GOOD), ("b",), "lease",
    ),
    "its hold is over": (
        ONE, ANY, Hints(held=Held(hold=OVER, since=instant(1.0))), ("a",), "forward",
    ),
    "could not be brought in, and its wait is not over": (
        ONE, ANY, Hints(unlendable={"b": failed(ONE)}), ("a",), "forward",
    ),
    "could not be brought in, and is tried again": (
        ONE, ANY, leased(ONE, "b", unlendable={"b": failed(ONE)}), ("b",), "lease",
    ),
    "its port is taken, and another card stays": (
        ON_CARDS, ANY, leased(ON_CARDS, "b"), ("a", "b"), "lease",
    ),
    "not managed any more": (slice_of(None, *ALL), ANY, leased(ONE, "b"), None, "forward"),
    "off now": (wants("a", power="off"), ANY, leased(ONE, "b"), ("a",), "forward"),
    "asleep now": (wants("a", power="suspend"), ANY, leased(ONE, "b"), ("a",), "forward"),
    "lent, and a retry is due": (
        ONE, ANY, leased(ONE, "b", quarantine=failed(ONE), **GOOD), ("b",), "lease",
    ),
    "left by a person": (
        ONE, ANY, Hints(quarantine=failed(ONE, "RolledBack"), **GOOD), ("l",), "heal",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_where_a_host_goes_with_what_requests_brought_in(name: str) -> None:
    wanted, rules, hints, active, mode = ROWS[name]
    now = instant(HOUR / 2) if name.endswith("due") else NOW
    aim = policy.aim(wanted, hints, Observed(), now, rules=rules, retries=True)
    assert (aim.mode, aim.target.slice.active if aim.acts else None) == (mode, active)
    assert bool(aim.lent) >= (mode == "lease")
    is_lease = aim.mode == "lease"
    assert aim.key == attempt_key(aim.target.slice, aim.target.digest, Observed()) or not is_lease


def test_a_plan_says_what_is_there_for_requests() -> None:
    aim = policy.aim(ONE, leased(ONE, "b"), Observed(), NOW, rules=ANY)
    plan = planned(aim, Observed(), Hints(), OURS, prune=False, take_over=False)
    assert plan.notes[0].startswith("requests brought in b")
    assert plan.mode == "lease"
    ready, *_ = host_conditions(
        leased(ONE, "b"), plan.model_copy(update={"steps": (), "refusals": (), "unmet": ()})
    )
    said = phrases.lent("b", LEASE)
    assert (ready.status, said in ready.message) == ("True", True)
    b, a = (of_model(ONE, one, world(ONE), Hints(), plan) for one in (B, A))
    assert ("lent", said) in told(b)
    assert ("makes way", said) in told(a)
    assert ("lent", said) in told(of_host(ONE, world(ONE), Hints(), plan))
    assert not [one for one in told(of_model(ONE, C, world(ONE), Hints(), plan)) if "lent" in one]


def test_what_is_lent_has_not_strayed_and_what_makes_way_is_not_missing() -> None:
    lent = planned(
        policy.aim(ONE, leased(ONE, "b"), Observed(), NOW, rules=ANY),
        Observed(), Hints(), OURS, prune=False, take_over=False,
    )  # fmt: skip
    seen = world(ONE, {"b": unit("b")})
    status = host_status(ONE, seen, leased(ONE, "b"), lent)
    assert all(one.type == "Ready" for model in status.models for one in model.conditions)
    alone = host_status(ONE, seen, Hints(), lent.model_copy(update={"lent": {}}))
    drifted = {m.model for m in alone.models for one in m.conditions if one.type == "Drifted"}
    assert drifted == {"a", "b"}


def told(explanation: Explanation) -> list[tuple[str, str]]:
    return [(one.about, one.says) for one in explanation.facts]


def test_a_lease_ends_with_the_wish_it_was_given_beside_or_the_permission() -> None:
    hints = leased(ONE, "b", "c")
    displaced = {"b": "another model was lent its place"}
    assert lending.lapsed(ONE, ANY, hints, NOW) == displaced
    assert lending.lapsed(ONE, Rules(allow=("b",)), hints, NOW).keys() == {"c"}
    why = lending.lapsed(wants("a", power="on"), ANY, hints, NOW)
    assert why == dict.fromkeys("bc", "the files ask for something else now")


IN_VAIN: dict[str, tuple[Slice, Hints, set[str], str]] = {
    "nothing": (ONE, Hints(), set(), ""),
    "held": (ONE, Hints(held=HELD), set("abcdel"), "held: a game"),
    "off": (wants("a", power="off"), Hints(), set("abcdel"), "`power: off`"),
    "stalled": (ONE, Hints(quarantine=failed(ONE)), {"a"}, "it died"),
    "asleep": (ONE, Hints(quarantine=failed(ONE, "WakeFailed")), set("abcdel"), "it died"),
    "gone back": (ONE, Hints(quarantine=failed(ONE), **GOOD), {"a"}, "it died"),
}


@pytest.mark.parametrize("name", IN_VAIN)
def test_who_would_wait_in_vain_is_told_why(name: str) -> None:
    wanted, hints, models, said = IN_VAIN[name]
    told = policy.not_lent(wanted, ANY, hints, NOW)
    assert told.keys() == models
    assert all(said in reason for reason in told.values())


def rows(*records: Record) -> Hints:
    hints = Hints()
    for number, record in enumerate(records, 1):
        hints = after(hints, Row(seq=number, when=instant(float(number)), record=record))
    return hints


LENT = Leased(host=HOST, model="b", wanted=digest(ONE))
REFUSED = Released(host=HOST, model="b", because="no room", failed=digest(lending.lend(ONE, ["b"])))


def test_what_could_not_be_brought_in_is_tried_again_ever_more_rarely() -> None:
    once, twice = rows(LENT, REFUSED), rows(LENT, REFUSED, LENT, REFUSED)
    assert once.leases == twice.leases == {}
    assert policy.not_lent(ONE, ANY, once, instant(3.0)) == {"b": "no room"}
    assert policy.not_lent(ONE, ANY, once, instant(HOUR)) == {}
    assert [hints.unlendable["b"].attempts for hints in (once, twice)] == [1, 2]


def test_another_definition_a_retry_and_success_lift_it() -> None:
    other = wants("a", enforce=True)
    assert policy.not_lent(other, ANY, rows(LENT, REFUSED), instant(3.0)) == {}
    assert rows(LENT, REFUSED, Retry(host=HOST)).unlendable == {}
    again = RunOpened(
        host=HOST, mode="lease", slice=lending.lend(ONE, ["b"]), digest=digest("lent"),
        key=digest("lent"), generation=1, trigger="watch", provenance=PROVENANCE, plan=(),
    )  # fmt: skip
    well = RunClosed(host=HOST, run=3, verdict="promoted")
    assert rows(LENT, REFUSED, again, well).unlendable == {}


def test_runs_for_requests_leave_the_operators_state_as_it_was() -> None:
    before = Hints(quarantine=failed(ONE), generation=3, wanted_digest=digest(ONE), **GOOD)
    opened = RunOpened(
        host=HOST, mode="lease", slice=wants("b"), digest=digest("lent"), key=digest("lent"),
        generation=3, trigger="watch", provenance=PROVENANCE, plan=(),
    )  # fmt: skip
    for verdict in get_args(Verdict):
        hints = before
        for record in (opened, RunClosed(host=HOST, run=1, verdict=verdict, key=digest("lent"))):
            hints = after(hints, Row(seq=1, when=NOW, record=record))
        same = replace(hints, notes=before.notes, unlendable={})
        assert same == before


def causes(hints: Hints, wanted: Slice, *running: str) -> dict[str, str]:
    """Return why each model starts or stops."""
    there = world(wanted, {name: unit(name) for name in running})
    aim = policy.aim(wanted, hints, there, NOW, rules=ANY)
    plan = planned(aim, there, hints, OURS, prune=False, take_over=False)
    return {one.step.target: one.cause for one in plan.steps if one.step.kind in {"start", "stop"}}


def test_a_start_and_a_stop_say_who_asks_and_who_has_gone() -> None:
    asks, over = "requests ask for it", "is lent no longer: "
    assert causes(rows(LENT), ONE, "a") == {"a": f"makes way for b: {asks}", "b": asks}
    taken_b = taken(ONE, "b", HOUR)
    uses = "ann uses it for a while"
    assert causes(taken_b, ONE, "a") == {"a": f"makes way for b: {uses}", "b": uses}
    unused = Released(host=HOST, model="b", because="unused")
    gone = rows(LENT, unused)
    assert causes(gone, ONE, "b") == {"a": "b is lent no longer", "b": f"{over}unused"}
    failing = {"a": "b is lent no longer", "b": f"{over}it could not be brought in"}
    assert causes(rows(LENT, REFUSED), ONE, "b") == failing
    stopped = StepDone(host=HOST, run=1, number=1, step="stop", model="b", outcome="done")
    changes = "active model changes"
    assert causes(rows(LENT, unused, stopped), ONE, "b") == dict.fromkeys("ab", changes)
    assert causes(rows(LENT, unused, stopped), ONE) == {"a": "not running"}
    assert causes(rows(LENT, unused, LENT), ONE) == {"b": asks}


def test_what_was_lent_before_the_file_changed_is_no_reason_any_more() -> None:
    unused = Released(host=HOST, model="b", because="unused")
    hints = rows(LENT, unused, opened("forward", wants("c")))
    assert hints.let_go == {}
    assert rows(LENT, unused, opened("lease", wants("c"))).let_go == {"b": "unused"}


def test_a_plan_names_what_is_lent_no_longer_before_that_is_recorded() -> None:
    known = lending.as_recorded(ONE, Rules(), rows(LENT), NOW)
    assert (known.leases, [*known.let_go]) == ({}, ["b"])


def opened(mode: Any, slice_: Slice) -> RunOpened:
    return RunOpened(
        host=HOST, mode=mode, slice=slice_, digest=digest(slice_), key=digest(slice_), generation=1,
        trigger="watch", provenance=PROVENANCE, plan=(),
    )  # fmt: skip


def test_a_lease_that_ends_leaves_the_others() -> None:
    other = Leased(host=HOST, model="e", wanted=digest(ONE))
    gone = Released(host=HOST, model="b", because="unused")
    hints = rows(LENT, other, gone)
    assert [*hints.leases] == ["e"]
    assert hints.unlendable == {}
    assert [*rows(LENT, other, LENT).leases] == ["e", "b"], "the newest is the last"


def test_whom_a_person_keeps_out_is_told_by_whom_for_what_and_until_when() -> None:
    lent = lending.standing(wants("a", "e"), ANY, taken(wants("a", "e"), "b", HOUR), NOW)
    told = lending.kept_out(wants("a", "e"), lent)
    assert told.keys() == set("acdl"), "an embedding runs beside it"
    assert set(told.values()) == {f"ann uses b until {said_at(HOUR)}: tests"}
    assert lending.kept_out(ONE, lending.standing(ONE, ANY, leased(ONE, "b"), NOW)) == {}
    assert "`reconciler use`" in phrases.lent("b", lent["b"])


def test_a_look_is_due_when_a_persons_time_is_over() -> None:
    assert policy.next_look(taken(ONE, "b", 110.0), NOW) == 10.0
    assert policy.next_look(leased(ONE, "b"), NOW) is None


@given(jump=st.floats(-HOUR, 12 * HOUR), passed=st.floats(0.0, 12 * HOUR))
def test_a_clock_that_is_set_ends_no_persons_lease_before_its_time(
    jump: float, passed: float
) -> None:
    then = instant(1.0 + passed)
    now = then.model_copy(update={"at": then.at + jump})
    is_over = not lending.standing(ONE, ANY, taken(ONE, "b", 1.0 + 2 * HOUR), now)
    assert not is_over or passed >= 2 * HOUR - TOLERATED_JUMP_SECONDS
    assert is_over or passed < 2 * HOUR or jump < 0


def test_more_leases_never_touch_what_the_file_wants_and_its_failures() -> None:
    before = Hints(quarantine=failed(ONE), generation=3, wanted_digest=digest(ONE), **GOOD)
    term = Term(by="ann", until=HOUR)
    hints = before
    for record in (
        Leased(host=HOST, model="b", wanted=digest(ONE), term=term),
        Released(host=HOST, model="b", because="no room", failed=digest(ONE)),
        Leased(host=HOST, model="c", wanted=digest(ONE), term=term),
    ):
        hints = after(hints, Row(seq=1, when=NOW, record=record))
    assert hints.leases["c"].term == term
    assert replace(hints, leases={}, let_go={}, unlendable={}) == before
