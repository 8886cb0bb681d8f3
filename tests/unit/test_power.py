"""The judged power of a host: a table of every combination of evidence, and laws over it."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any, NamedTuple, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.deadlines import said_at
from reconciler.core.power import (
    GOING_SECONDS,
    SILENCE_SECONDS,
    elapsed,
    is_going,
    is_settling,
    judged,
    needs_canary,
)
from reconciler.model import power
from reconciler.model.facts import Contact, Fact, Known, Unknown
from reconciler.model.observed import CANARY, CONTACT, POWER, TESTIMONY, FactValue, Observed
from reconciler.model.power import Canary, Guards, Inhibitor, Login, Power, PowerState
from reconciler.model.reason import Reason
from reconciler.model.records import Instant, SentDown
from tests.clocks import instant
from tests.sample_worlds import HOST

NOW = 100_000.0
ASKED = {"a minute ago": NOW - 60.0, "long ago": NOW - 1000.0}
SILENT = {"silent for a moment": NOW - 10.0, "silent": NOW - 60.0}
CONTACTS = ("answers", "answers after a boot", *SILENT)
WITNESSES: dict[str, Fact[FactValue]] = {
    "nobody": Known(None),
    "deaf": Unknown("the plug is gone"),
    "unsure": Known(power.Testimony(state=None, words="it draws 9 W")),
    "says on": Known(power.Testimony(state="on", words="it draws 90 W")),
    "says off": Known(power.Testimony(state="off", words="it draws 1 W")),
    "says suspended": Known(power.Testimony(state="suspended", words="it is in S3")),
}
NEIGHBOURS: dict[str, Fact[FactValue]] = {
    "answers": Known(Canary(address="the gateway")),
    "silent": Unknown("10.0.0.1 does not answer"),
}
WAYS: tuple[tuple[Any, str], ...] = (
    (None, ""), ("off", "unheard"), ("off", "accepted"), ("off", "seen"),
    ("suspended", "unheard"), ("suspended", "accepted"), ("suspended", "seen"),
)  # fmt: skip
EVER = "its socket said so"


class Evidence(NamedTuple):
    """One combination of what is seen of a host and what was asked of it before."""

    contact: str
    witness: str
    neighbour: str
    way: str
    went: str
    when: str

    @property
    def sent(self) -> SentDown | None:
        if not self.way:
            return None
        boot_id = "" if self.went == "unheard" else "boot"
        seen = EVER if self.went == "seen" else ""
        state: Any = self.way
        return SentDown(
            state=state, run=7, asked=instant(ASKED[self.when]), boot_id=boot_id, seen=seen
        )

    @property
    def seen(self) -> Observed:
        boot = "boot" if self.contact == "answers" else "another boot"
        silent = (
            Unknown("it is silent", since=SILENT[self.contact]) if self.contact in SILENT else None
        )
        return Observed({
            CONTACT(HOST): silent or Known(Contact(boot_id=boot)),
            TESTIMONY(HOST): WITNESSES[self.witness],
            CANARY(HOST): NEIGHBOURS[self.neighbour],
        })  # fmt: skip

    @property
    def said(self) -> str:
        fact = judged(self.seen, HOST, self.sent, instant(NOW))
        return f"not known: {fact.reason}" if isinstance(fact, Unknown) else str(fact.value)


class Row(NamedTuple):
    """A row for combinations that fit no row above; empty fits all, bars separate words."""

    contact: str
    witness: str
    neighbour: str
    way: str
    went: str
    when: str
    says: str

    def fits(self, evidence: Evidence) -> bool:
        return all(
            not wanted or found in wanted.split("|")
            for wanted, found in zip(self[:-1], evidence, strict=True)
        )


TOLD = "run 7, {asked}"
BLIND = "says on|nobody|deaf|unsure"
"""Who cannot tell a host that sleeps from one that is on."""

TABLE = (
    # contact, witness, neighbour, way, went, when, what is judged
    Row("answers", "", "", "off|suspended", "accepted", "a minute ago",
        f"not known: it accepted to go down ({TOLD}) and has not gone yet"),
    Row("answers|answers after a boot", "", "", "", "", "", "on (it answers)"),
    Row("", "says off", "", "suspended", "accepted|seen", "", "suspended (proved: it draws 1 W)"),
    Row("", "says suspended", "", "", "", "", "suspended (proved: it is in S3)"),
    Row("", "says off", "", "", "", "", "off (proved: it draws 1 W)"),
    Row("", "says on", "", "never|off", "", "", "on (proved: it draws 90 W)"),
    Row("", "says on", "", "suspended", "unheard", "", "on (proved: it draws 90 W)"),
    Row("", "deaf", "", "never", "", "", "not known: it is silent; the plug is gone"),
    Row("", "nobody", "", "never", "", "", "not known: it is silent"),
    Row("", "unsure", "", "never", "", "", "not known: it is silent; it draws 9 W"),
    Row("", BLIND, "", "off", "seen", "", f"off (inferred: {EVER}; silent ever since)"),
    Row("", BLIND, "", "suspended", "seen", "", f"suspended (inferred: {EVER}; silent ever since)"),
    Row("", "deaf", "", "", "unheard", "",
        "not known: it is silent; the plug is gone;"
        f" whether it heard that it was to go down ({TOLD}) is not known"),
    Row("", "unsure", "", "", "unheard", "",
        "not known: it is silent; it draws 9 W;"
        f" whether it heard that it was to go down ({TOLD}) is not known"),
    Row("", "nobody", "", "", "unheard", "",
        f"not known: it is silent; whether it heard that it was to go down ({TOLD}) is not known"),
    Row("", BLIND, "silent", "", "accepted", "",
        f"not known: it accepted to go down ({TOLD}) and is silent,"
        " but so is its network: 10.0.0.1 does not answer"),
    Row("silent for a moment", BLIND, "answers", "", "accepted", "",
        f"not known: it accepted to go down ({TOLD}) and is silent;"
        " 30 s of that while the gateway answers count as down"),
    Row("silent", BLIND, "answers", "off", "accepted", "",
        f"off (inferred: accepted to go down ({TOLD}),"
        " then silent for 30 s while the gateway answered)"),
    Row("silent", BLIND, "answers", "suspended", "accepted", "",
        f"suspended (inferred: accepted to go down ({TOLD}),"
        " then silent for 30 s while the gateway answered)"),
)  # fmt: skip

EVERYTHING = [
    Evidence(contact, witness, neighbour, way or "", went, when)
    for contact, witness, neighbour, (way, went), when in product(
        CONTACTS, WITNESSES, NEIGHBOURS, WAYS, ASKED
    )
]


def row_of(evidence: Evidence) -> Row:
    never = evidence if evidence.way else evidence._replace(way="never")
    return next(row for row in TABLE if row.fits(never))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.says)
def test_what_is_seen_and_what_was_asked_decide_the_power_of_a_host(row: Row) -> None:
    decided = [evidence for evidence in EVERYTHING if row_of(evidence) is row]
    assert decided, "every row decides something"
    for evidence in decided:
        assert evidence.said == row.says.format(asked=said_at(ASKED[evidence.when])), evidence


def test_every_combination_of_evidence_stands_in_the_table() -> None:
    decided = Counter(row_of(evidence) for evidence in EVERYTHING)
    assert sum(decided.values()) == len(EVERYTHING) == 672
    assert set(decided) == set(TABLE)


def test_neighbours_are_asked_exactly_where_their_answer_decides() -> None:
    silent = [evidence for evidence in EVERYTHING if evidence.contact in SILENT]
    for evidence in silent:
        decides = len({evidence._replace(neighbour=neighbour).said for neighbour in NEIGHBOURS}) > 1
        assert needs_canary(evidence.seen, HOST, evidence.sent) is decides, evidence


def test_a_host_settles_exactly_where_longer_silence_alone_tells_its_power() -> None:
    for evidence in EVERYTHING:
        power_of_it = judged(evidence.seen, HOST, evidence.sent, instant(NOW))
        seen = evidence.seen.seeing({POWER(HOST): power_of_it})
        later = judged(evidence.seen, HOST, evidence.sent, instant(NOW + SILENCE_SECONDS))
        silent = evidence.contact in SILENT and isinstance(power_of_it, Unknown)
        tells = silent and isinstance(later, Known)
        assert is_settling(seen, HOST, evidence.sent) is tells, evidence


# Laws over all evidence, whoever made it.

MOMENTS = st.builds(
    Instant,
    at=st.floats(0, 2 * NOW),
    boot_id=st.sampled_from(("boot", "another boot")),
    boot=st.floats(0, 2 * NOW),
)
WORDS = st.sampled_from(("it draws 1 W", "the BMC says so"))
SENT = st.builds(
    SentDown, state=st.sampled_from(("off", "suspended")), run=st.integers(1, 99), asked=MOMENTS,
    boot_id=st.sampled_from(("", "boot", "unknown")), seen=st.sampled_from(("", EVER)),
)  # fmt: skip
UNKNOWN = st.builds(
    Unknown, st.sampled_from(("it is silent", "not observed")), since=st.floats(0, 2 * NOW)
)


def facts(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return UNKNOWN | values.map(Known)


def observed(contact: Any, testimony: Any, canary: Any) -> Observed:
    """Return what was seen; what nobody looked at is None."""
    seen = {CONTACT(HOST): contact, TESTIMONY(HOST): testimony, CANARY(HOST): canary}
    return Observed({key: fact for key, fact in seen.items() if fact is not None})


STATES = st.sampled_from((None, *get_args(PowerState)))
CONTACT_FACTS = facts(st.builds(Contact, boot_id=st.sampled_from(("boot", "another boot", ""))))
TESTIMONY_FACTS = facts(st.none() | st.builds(power.Testimony, state=STATES, words=WORDS))
CANARY_FACTS = facts(st.builds(Canary, address=st.sampled_from(("the gateway", "10.0.0.1"))))
SEEN = st.builds(
    observed, st.none() | CONTACT_FACTS, st.none() | TESTIMONY_FACTS, st.none() | CANARY_FACTS
)


@given(SEEN, st.none() | SENT, MOMENTS)
def test_a_host_is_never_off_without_a_named_reason(
    seen: Observed, sent: SentDown | None, now: Instant
) -> None:
    fact = judged(seen, HOST, sent, now)
    if isinstance(fact, Unknown):
        assert fact.reason
        return
    found = fact.value
    assert isinstance(found, Power)
    if seen.value(CONTACT(HOST)) is not None:
        assert found == Power(state="on")
        return
    witness = seen.value(TESTIMONY(HOST))
    if found.grade == "proved":
        assert witness is not None
        assert found.because == witness.words
        assert found.state == witness.state or (
            sent is not None and found.state == sent.state == "suspended"
        )
        return
    assert found.grade == "inferred"
    assert sent is not None
    assert found.state == sent.state
    if sent.seen:
        assert found.because == f"{sent.seen}; silent ever since"
        return
    canary, silence = seen.value(CANARY(HOST)), seen.unknown(CONTACT(HOST))
    assert sent.is_heard
    assert canary is not None
    assert canary.address in found.because
    assert f"run {sent.run}" in found.because
    assert silence is not None
    assert now.boot - silence.since >= SILENCE_SECONDS


@given(SEEN, st.none() | SENT, MOMENTS)
def test_a_witness_that_says_that_a_silent_host_is_on_keeps_it_from_being_off(
    seen: Observed, sent: SentDown | None, now: Instant
) -> None:
    lit = seen.seeing({
        CONTACT(HOST): Unknown("it is silent"),
        TESTIMONY(HOST): Known(power.Testimony(state="on", words="it draws 90 W")),
    })  # fmt: skip
    fact = judged(lit, HOST, sent, now)
    assert isinstance(fact, Unknown) or fact.value.state != "off"


@given(SENT, MOMENTS)
def test_a_host_is_on_its_way_only_in_the_boot_that_accepted_and_for_a_while(
    sent: SentDown, now: Instant
) -> None:
    contact = Contact(boot_id="boot")
    if is_going(sent, contact, now):
        assert (sent.boot_id, sent.seen) == ("boot", "")
        assert elapsed(sent.asked, now) < GOING_SECONDS
    assert not is_going(sent, Contact(boot_id="a boot that came later"), now)
    # Not to the second: a float may come out a little less than what was added to it.
    later = sent.asked.model_copy(update={"boot": sent.asked.boot + GOING_SECONDS + 1.0})
    assert not is_going(sent, contact, later)


def test_time_between_two_boots_is_told_by_the_wall_clock_and_is_never_less_than_none() -> None:
    before = Instant(at=1000.0, boot_id="boot", boot=50.0)
    assert elapsed(before, Instant(at=9999.0, boot_id="boot", boot=80.0)) == 30.0
    assert elapsed(before, Instant(at=1040.0, boot_id="another boot", boot=5.0)) == 40.0
    assert elapsed(before, Instant(at=900.0, boot_id="another boot", boot=5.0)) == 0.0


def test_what_is_in_the_way_of_going_down_is_said_as_sentences_the_own_host_first() -> None:
    ana, apt = (
        Login(user="ana", place="tty1"),
        Inhibitor(who="apt", why="upgrades are installed", pid=77),
    )
    barred, deaf = Reason("this user may not"), Reason("its card is deaf")
    everything = Guards(
        logins=(ana,), inhibitors=(apt,), permission_problem=barred, wake_problem=deaf
    )
    assert everything.reasons == (
        "this user may not",
        "its card is deaf",
        "ana is logged in (tty1)",
        "apt (pid 77) keeps it up: upgrades are installed",
    )
    assert Guards().reasons == ()
