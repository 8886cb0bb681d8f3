"""A host that nobody uses comes to rest, and a lease rouses it: what it should be then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import idleness, lending, policy, turns
from reconciler.core.canonical import digest
from reconciler.core.projection import host_status
from reconciler.core.recovery import Hints, after
from reconciler.core.report.explain import of_host, of_model
from reconciler.loop.survey import planned
from reconciler.model.facts import Activity, Known, Slot, Unknown
from reconciler.model.leasing import Idled, Leased, Released, Roused, Term
from reconciler.model.lending import Demand, Idle, Rest, Rules
from reconciler.model.observed import ACTIVITY, CONTACT, GUARDS, POWER, Observed
from reconciler.model.power import Guards, Power, PowerState
from reconciler.model.reason import Reason
from reconciler.model.records import (
    Held,
    Hold,
    HostReturned,
    Lease,
    Quarantine,
    Record,
    Retry,
    Row,
    RunClosed,
    RunOpened,
    SentDown,
    Verdict,
)
from reconciler.model.spec import Capabilities, Slice
from reconciler.steps.plan import HostPlan
from tests.clocks import instant
from tests.sample_worlds import HOST, OURS, PROVENANCE, model, slice_of, unit, world

A, B, E = model("a"), model("b"), model("e", port=8082, task="embedding")
ABLE = Capabilities(can_wake=True, can_shut_down=True, can_suspend=True)
NOW, HOUR = instant(100.0), 3600.0


def wants(**changed: Any) -> Slice:
    return slice_of(("a",), A, B, E, capabilities=ABLE, **changed)


def rules(then: Rest = "suspend", *, sleeps: bool = True, allow: tuple[str, ...] = ()) -> Rules:
    return Rules(allow=allow, idle=Idle(after=1800.0, then=then), sleeps=sleeps)


AUTO, ANY = rules(), rules(allow=("a", "b", "e"))
UNLOAD = rules("unload", sleeps=False)
ONE, ON = wants(), wants(power="on")


def lease(wanted: Slice, *, until: float | None = None) -> Lease:
    term = None if until is None else Term(by="ann", until=until)
    return Lease(wanted=digest(wanted), since=instant(1.0), term=term)


def idled(wanted: Slice, then: Rest = "suspend", boot: str = "boot") -> Idled:
    return Idled(host=HOST, then=then, wanted=digest(wanted), boot_id=boot)


def seen(state: PowerState = "on", boot: str = "boot") -> Observed:
    there = world(ONE, {"a": unit("a")})
    found = {POWER(HOST): Known(Power(state=state))}
    silent = Unknown("it does not answer")
    contact = Known(there.value(CONTACT(HOST)).model_copy(update={"boot_id": boot}))  # type: ignore[union-attr]
    return there.seeing({**found, CONTACT(HOST): contact if state == "on" else silent})


HELD = Held(hold=Hold(host=HOST, reason="a game"), since=instant(1.0))

Reached: TypeAlias = tuple[str | None, tuple[str, ...] | None, str]
ROWS: dict[str, tuple[Slice, Rules, Hints, Observed, Reached]] = {
    "at rest": (ON, UNLOAD, Hints(idled=idled(ON, "unload")), seen(), ("on", (), "idle")),
    "at rest, and its model is asked for": (
        ON, UNLOAD, Hints(idled=idled(ON, "unload"), leases={"a": lease(ON)}), seen(),
        ("on", ("a",), "forward"),
    ),
    "off": (ONE, AUTO, Hints(), seen("off"), (None, ("a",), "forward")),
    "off, and its model is asked for": (
        ONE, AUTO, Hints(leases={"a": lease(ONE)}), seen("off"), ("on", ("a",), "lease"),
    ),
    "off, and another is asked for": (
        ONE, ANY, Hints(leases={"b": lease(ONE)}), seen("off"), ("on", ("b",), "lease"),
    ),
    "off, and a person takes another": (
        ONE, AUTO.without_requests, Hints(leases={"b": lease(ONE, until=HOUR)}), seen("off"),
        ("on", ("b",), "lease"),
    ),
    "off, and a person takes the file's": (
        ONE, AUTO.without_requests, Hints(leases={"a": lease(ONE, until=HOUR)}), seen("off"),
        ("on", ("a",), "lease"),
    ),
    "off, and requests once took it, with no gateway": (
        ONE, AUTO.without_requests, Hints(leases={"a": lease(ONE)}), seen("off"),
        (None, ("a",), "forward"),
    ),
    "idle is due": (ONE, AUTO, Hints(idled=idled(ONE)), seen(), ("suspend", (), "idle")),
    "idle is due, and off": (
        ONE, rules("off"), Hints(idled=idled(ONE, "off")), seen(), ("off", (), "idle"),
    ),
    "asleep": (ONE, AUTO, Hints(idled=idled(ONE)), seen("suspended"), ("suspend", (), "idle")),
    "asleep, and its model is asked for": (
        ONE, AUTO, Hints(idled=idled(ONE), leases={"a": lease(ONE)}), seen("suspended"),
        ("on", ("a",), "lease"),
    ),
    "woken, and its model was asked for": (
        ONE, AUTO, Hints(leases={"a": lease(ONE)}), seen(), (None, ("a",), "forward"),
    ),
    "switched on by others": (
        ONE, AUTO, Hints(idled=idled(ONE)), seen(boot="another"), (None, ("a",), "forward"),
    ),
    "idle is due, and held": (
        ONE, AUTO, Hints(idled=idled(ONE), held=HELD), seen(), (None, None, "forward"),
    ),
    "the file changed": (
        ONE, AUTO, Hints(idled=idled(wants(enforce=True))), seen(), (None, ("a",), "forward"),
    ),
    "the file lets it rest no more": (
        ONE, Rules(), Hints(idled=idled(ONE)), seen(), (None, ("a",), "forward"),
    ),
    "the file lets it rest otherwise": (
        ONE, rules("off"), Hints(idled=idled(ONE)), seen(), (None, ("a",), "forward"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_where_a_host_goes_that_may_rest(name: str) -> None:
    wanted, rule, hints, observed, expected = ROWS[name]
    aim = policy.aim(wanted, hints, observed, NOW, rules=rule)
    target = aim.target.slice
    assert (target.power, target.active if aim.acts else None, aim.mode) == expected
    assert aim.mode == "idle" or aim.target.digest == digest(lending.lend(wanted, aim.lent)), (
        "a wish is the same whether its host sleeps or not"
    )


def test_what_stands_in_the_way_of_a_suspend_keeps_the_model_where_it_is() -> None:
    hints = Hints(idled=idled(ONE))
    guards = Guards(permission_problem=Reason(found="ann is logged in"))
    guarded = seen().seeing({GUARDS(HOST): Known(guards)})
    aim = policy.aim(ONE, hints, guarded, NOW, rules=AUTO)
    plan = planned(aim, guarded, hints, OURS, prune=False, take_over=False)
    assert any("ann is logged in" in reason for reason in plan.refusals)


def test_an_engine_that_is_used_past_the_gateway_is_not_stopped_for_a_rest() -> None:
    hints, there = Hints(idled=idled(ON, "unload")), world(ON, {"a": unit("a")})
    busy = Activity(slots=(Slot(id=0, busy=True, tokens=5, task=7),))
    aim = policy.aim(ON, hints, there, NOW, rules=UNLOAD)
    for activity, refused in ((busy, ("a answers 1 request past the gateway",)), (None, ())):
        seen = there.seeing({ACTIVITY(HOST, "a"): Known(activity)}) if activity else there
        plan = planned(aim, seen, hints, OURS, prune=False, take_over=False)
        assert plan.refusals == refused


def test_a_host_at_rest_is_as_it_should_be() -> None:
    hints, there = Hints(idled=idled(ON, "unload")), world(ON)
    plan = planned(
        policy.aim(ON, hints, there, NOW, rules=UNLOAD), there, hints, OURS,
        prune=False, take_over=False,
    )  # fmt: skip
    status = host_status(ON, there, hints, plan)
    assert (status.conditions[0].status, status.conditions[0].reason) == ("True", "InSync")
    assert "it rests" in status.conditions[0].message
    assert all(one.type == "Ready" for model in status.models for one in model.conditions)
    assert not [one for one in of_model(ON, A, there, hints, plan).facts if "Drifted" in one.about]


def rows(*records: Record, before: Hints | None = None) -> Hints:
    hints = before or Hints()
    for number, record in enumerate(records, 1):
        hints = after(hints, Row(seq=number, when=instant(float(number)), record=record))
    return hints


REFUSED = Roused(host=HOST, because="ann is logged in", failed=digest(ONE))


def test_what_could_not_rest_is_tried_ever_more_rarely() -> None:
    once = rows(idled(ONE), REFUSED)
    twice = rows(idled(ONE), REFUSED, idled(ONE), REFUSED)
    assert (once.idled, twice.idled) == (None, None)
    assert [hints.restless.attempts for hints in (once, twice) if hints.restless] == [1, 2]
    assert not idleness.may_rest(ONE, once, instant(3.0))
    assert idleness.may_rest(ONE, once, instant(HOUR))
    assert idleness.may_rest(wants(enforce=True), once, instant(3.0))
    assert not idleness.may_rest(ONE, rows(idled(ONE)), instant(3.0)), "it rests already"
    told = of_host(ONE, seen(), once, nothing(once), sleeps=True).facts
    said = [f"{one.about} {one.says}" for one in told]
    assert any("could not rest ann is logged in" in one for one in said)
    assert any("wanted power auto" in one for one in said)
    assert policy.next_look(once, instant(3.0)) == pytest.approx(10.0, abs=3.0)
    assert rows(idled(ONE), REFUSED, Retry(host=HOST)).restless is None
    rested: tuple[Record, ...] = (opened("idle"), RunClosed(host=HOST, run=3, verdict="promoted"))
    assert rows(idled(ONE), REFUSED, idled(ONE), *rested).restless is None


def nothing(hints: Hints) -> HostPlan:
    """Return the plan of a host that serves as it should."""
    aim = policy.aim(ONE, hints, seen(), NOW, rules=AUTO)
    return planned(aim, seen(), hints, OURS, prune=False, take_over=False)


def opened(mode: Any) -> RunOpened:
    return RunOpened(
        host=HOST, mode=mode, slice=ONE, digest=digest(ONE), key=digest(ONE), generation=1,
        trigger="watch", provenance=PROVENANCE, plan=(),
    )  # fmt: skip


def test_a_rest_leaves_what_the_file_wants_and_its_failures_as_they_were() -> None:
    failure = Quarantine(
        key=digest("x"), reason="StartFailed", message="it died", run=1, since=instant(90.0)
    )
    before = Hints(quarantine=failure, generation=3, wanted_digest=digest(ONE), last_good=ONE)
    closed = RunClosed(host=HOST, run=1, verdict="promoted", key=digest(ONE))
    hints = rows(idled(ONE), opened("idle"), closed, before=before)
    assert replace(hints, idled=None) == before
    assert rows(Roused(host=HOST, because="a is asked for"), before=hints) == before


def test_one_that_was_woken_in_the_boot_it_slept_in_rests_no_longer() -> None:
    sent = SentDown(state="suspended", run=1, asked=instant(1.0), boot_id="boot", seen="its BMC")
    answers = HostReturned(host=HOST, boot_id="boot")
    asleep = Hints(idled=idled(ONE), sent_down=sent)
    assert rows(answers, before=asleep).idled is None
    stayed = replace(asleep, sent_down=sent.model_copy(update={"seen": ""}))
    assert rows(answers, before=stayed).idled is not None


def test_a_failed_wake_is_told_to_who_asks_and_is_no_failure_of_the_file() -> None:
    failed = Released(host=HOST, model="a", because="no answer to WOL", failed=digest(ONE))
    hints = rows(Leased(host=HOST, model="a", wanted=digest(ONE)), failed)
    assert policy.not_lent(ONE, AUTO, hints, instant(3.0)) == {"a": "no answer to WOL"}
    assert policy.not_lent(ONE, AUTO, hints, instant(HOUR)) == {}
    assert hints.quarantine is None


@pytest.mark.parametrize(
    ("demands", "at"),
    [
        ({"a": Demand(since=5.0)}, 1805.0),
        ({"a": Demand(since=5.0, used=9.0)}, 1809.0),
        ({"a": Demand(since=5.0), "b": Demand(used=50.0)}, 1850.0),
        ({"a": Demand(since=5.0, in_flight=1)}, float("inf")),
        ({"a": Demand(since=5.0), "b": Demand(waiting=1, oldest=3.0)}, float("inf")),
        ({"a": Demand()}, 1800.0),
    ],
)
def test_a_host_rests_when_no_request_used_any_of_its_models_for_long(
    demands: dict[str, Demand], at: float
) -> None:
    assert turns.rest_at(AUTO, demands, 0.0) == at
    assert turns.rest_at(Rules(), demands, 0.0) == float("inf")


def test_a_host_that_does_not_rest_is_not_roused() -> None:
    assert idleness.roused(ONE, AUTO, Hints(), seen(), ("a",)) == ""


def test_doctor_judges_a_host_that_may_sleep_as_one_that_has_to_be_able_to() -> None:
    assert idleness.as_it_may_sleep(ONE, AUTO).power == "suspend"
    assert idleness.as_it_may_sleep(ONE, Rules()) == ONE


TERMS = st.none() | st.builds(Term, by=st.just("ann"), until=st.floats(0, HOUR))
AMONG, ONES = st.sampled_from("ab"), st.just(digest(ONE))
LENDING = st.one_of(
    st.builds(Leased, host=st.just(HOST), model=AMONG, wanted=ONES, term=TERMS),
    st.builds(
        Released, host=st.just(HOST), model=AMONG, because=st.just("x"), failed=st.none() | ONES
    ),
    st.just(idled(ONE)),
    st.just(REFUSED),
    st.just(Roused(host=HOST, because="a is asked for")),
    st.builds(opened, st.sampled_from(["lease", "idle"])),
    st.builds(
        RunClosed, host=st.just(HOST), run=st.just(1), key=ONES,
        verdict=st.sampled_from(get_args(Verdict)),
    ),
)  # fmt: skip


@given(st.lists(LENDING, max_size=20))
def test_whatever_is_lent_and_rests_what_the_file_wants_is_remembered_as_it_was(
    records: list[Record],
) -> None:
    failure = Quarantine(
        key=digest("x"), reason="StartFailed", message="it died", run=1, since=instant(90.0)
    )
    before = Hints(
        quarantine=failure, generation=3, wanted=ONE, wanted_digest=digest(ONE),
        last_good=ON, last_good_digest=digest(ON), judged_generation=3,
    )  # fmt: skip
    hints = rows(*records, before=before)
    for name in ("quarantine", "generation", "wanted_digest", "last_good_digest", "last_good"):
        assert getattr(hints, name) == getattr(before, name)
