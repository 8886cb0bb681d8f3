"""Whose turn it is: each rule by an example."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

import pytest

from reconciler.core.turns import Seating, Turn, load_end, turn
from reconciler.model.lending import Demand, Rules

RULES = Rules(allow=("a", "b", "c"), return_after=300.0, min_residency=30.0)
ONE_CARD = {model: frozenset("abc") - {model} for model in "abc"}
WIDE = {"a": frozenset("c"), "b": frozenset("c"), "c": frozenset("ab")}
"""c needs both cards, a and b one each."""
GRACE = 2.0
STAY = Turn()


def after(
    now: float,
    serving: str,
    *,
    wanted: str = "a",
    rules: Rules = RULES,
    rivals: Mapping[str, frozenset[str]] = ONE_CARD,
    **demands: Demand,
) -> Turn:
    """Return whose turn it is `now`, where models have names of one letter."""
    return turn(rules, Seating(serving, wanted, rivals), demands, GRACE, now)


def holding(since: float = 0.0, used: float | None = None, in_flight: int = 0) -> Demand:
    return Demand(in_flight=in_flight, used=used, since=since)


def waiting(oldest: float, used: float | None = None) -> Demand:
    return Demand(waiting=1, oldest=oldest, used=used)


def test_nothing_changes_where_nobody_waits() -> None:
    assert after(1000.0, "a", a=holding()) == STAY
    assert after(1000.0, "a", a=holding(in_flight=3)) == STAY


def test_who_waits_for_what_serves_takes_nobodys_place() -> None:
    busy = Demand(in_flight=4, waiting=9, oldest=1.0, since=0.0)
    assert after(1000.0, "a", a=busy) == STAY


def test_requests_bring_in_only_what_they_may() -> None:
    pinned = Rules(allow=("b",))
    assert after(1000.0, "a", rules=pinned, a=holding(), c=waiting(1.0)) == STAY


def test_what_the_file_wants_may_always_come_back() -> None:
    there = after(1000.0, "b", rules=Rules(), b=holding(used=970.0), a=waiting(999.0))
    assert there == Turn(grant="a", pause=frozenset("b"))


def test_a_model_that_displaces_nothing_comes_in_at_once() -> None:
    assert after(1.0, "", wanted="", b=waiting(1.0)) == Turn(grant="b")
    assert after(1.0, "a", rivals={}, a=holding(in_flight=1), b=waiting(1.0)) == Turn(grant="b")


def test_what_the_file_wants_needs_no_turn_where_nothing_displaces_it() -> None:
    assert after(1.0, "", a=waiting(0.5)) == STAY
    assert after(1.0, "", a=waiting(0.5), b=waiting(0.8)) == Turn(grant="b")


def test_a_model_in_use_keeps_its_place_for_a_time() -> None:
    used = holding(in_flight=1)
    assert after(29.0, "a", a=used, b=waiting(5.0)) == Turn(look=1.0)


def test_after_that_time_it_takes_no_more_and_goes_when_all_are_answered() -> None:
    assert after(30.0, "a", a=holding(in_flight=1), b=waiting(5.0)) == Turn(pause=frozenset("a"))
    assert after(31.0, "a", a=holding(used=31.0), b=waiting(5.0)) == Turn(
        pause=frozenset("a"), grant="b"
    )


def test_a_pause_ends_when_those_who_waited_have_left() -> None:
    assert after(31.0, "a", a=holding(in_flight=1), b=Demand()) == STAY


def test_a_model_that_nobody_uses_goes_early() -> None:
    assert after(11.5, "a", a=holding(used=10.0), b=waiting(5.0)) == Turn(look=0.5)
    assert after(12.0, "a", a=holding(used=10.0), b=waiting(5.0)) == Turn(
        pause=frozenset("a"), grant="b"
    )


def test_a_model_that_was_never_used_goes_early_too() -> None:
    assert after(1.0, "a", a=holding(), b=waiting(0.5)) == Turn(look=1.0)
    # What it did in an earlier turn says nothing.
    assert after(101.0, "a", a=holding(since=100.0, used=50.0), b=waiting(0.5)) == Turn(look=1.0)


def test_the_moment_of_not_being_used_is_never_longer_than_the_place_is_kept() -> None:
    brief = Rules(allow=("b",), min_residency=1.0)
    there = after(10.5, "a", rules=brief, a=holding(since=10.0), b=waiting(0.5))
    assert there == Turn(look=0.5)


def test_a_model_whose_requests_wait_for_it_is_in_use() -> None:
    full = Demand(waiting=1, oldest=1.0, used=1.0, since=0.0)
    assert after(20.0, "a", a=full, b=waiting(5.0)) == Turn(look=10.0)


def test_a_model_that_requests_cannot_reach_keeps_nothing() -> None:
    dead = Demand(waiting=1, oldest=1.0, used=19.9)
    assert after(20.0, "a", a=dead, b=waiting(5.0)) == Turn(pause=frozenset("a"), grant="b")
    assert after(20.0, "a", b=waiting(5.0)) == Turn(pause=frozenset("a"), grant="b")


def test_nobody_is_cut_where_a_model_takes_no_more() -> None:
    closed = Demand(in_flight=1, used=19.9)
    assert after(20.0, "a", a=closed, b=waiting(5.0)) == Turn(pause=frozenset("a"))


def test_the_model_that_has_waited_longest_is_next() -> None:
    free = holding(used=10.0)
    assert after(50.0, "a", a=free, b=waiting(6.0), c=waiting(5.0)).grant == "c"
    assert after(50.0, "a", a=free, b=waiting(5.0), c=waiting(5.0)).grant == "b"


def test_what_a_turn_left_over_waits_from_its_end_on() -> None:
    left_over = waiting(1.0, used=40.0)
    assert after(80.0, "a", a=holding(used=60.0), b=left_over, c=waiting(30.0)).grant == "c"


def test_all_who_make_way_have_had_their_time() -> None:
    wide = waiting(1.0)
    older, younger = holding(in_flight=1), holding(since=20.0, in_flight=1)
    there = after(40.0, "ab", rivals=WIDE, a=older, b=younger, c=wide)
    assert there == Turn(look=10.0)
    there = after(50.0, "ab", rivals=WIDE, a=older, b=younger, c=wide)
    assert there == Turn(pause=frozenset("ab"))


def test_they_go_early_only_when_nobody_uses_any_of_them() -> None:
    free, wide = holding(used=5.0), waiting(1.0)
    there = after(10.0, "ab", rivals=WIDE, a=free, b=holding(in_flight=1), c=wide)
    assert there == Turn(look=20.0)
    there = after(10.0, "ab", rivals=WIDE, a=free, b=holding(used=9.0), c=wide)
    assert there == Turn(look=1.0)
    there = after(11.0, "ab", rivals=WIDE, a=free, b=holding(used=9.0), c=wide)
    assert there == Turn(pause=frozenset("ab"), grant="c")


CARDS = {"a": frozenset("bc"), "b": frozenset("ac"), "c": frozenset("abde"), "d": frozenset("ce"),
         "e": frozenset("cd")}  # fmt: skip
"""a and b need the first card, d and e the second, c both."""
ALL = Rules(allow=tuple("abcde"))


def test_what_takes_other_places_is_decided_by_itself() -> None:
    there = after(
        10.0, "ad", rules=ALL, rivals=CARDS,
        a=holding(in_flight=1), d=holding(used=5.0), b=waiting(1.0), e=waiting(2.0),
    )  # fmt: skip
    assert there == Turn(pause=frozenset("d"), grant="e", look=20.0)


def test_one_model_comes_in_at_a_time_the_oldest_first() -> None:
    there = after(
        40.0, "ad", rules=ALL, rivals=CARDS,
        a=holding(used=5.0), d=holding(used=5.0), b=waiting(2.0), e=waiting(1.0),
    )  # fmt: skip
    assert there == Turn(pause=frozenset("ad"), grant="e")


def test_who_keeps_a_place_for_the_moment_is_not_made_to_wait_for_another_ones_turn() -> None:
    there = after(
        20.0, "ad", rules=ALL, rivals=CARDS,
        a=holding(used=5.0), d=holding(used=5.0), b=waiting(2.0), e=waiting(1.0),
    )  # fmt: skip
    assert there == Turn(pause=frozenset("d"), grant="e")


def test_nobody_takes_one_of_the_places_that_an_older_one_waits_for() -> None:
    there = after(
        25.0, "ad", rules=ALL, rivals=CARDS,
        a=holding(in_flight=1), d=holding(used=5.0), c=waiting(1.0), e=waiting(2.0),
    )  # fmt: skip
    assert there == Turn(look=5.0)


def test_a_lent_model_goes_back_when_nobody_has_used_it_for_long() -> None:
    assert after(309.0, "b", b=holding(used=10.0)) == Turn(look=1.0)
    assert after(310.0, "b", b=holding(used=10.0)) == Turn(release="b")
    assert after(400.0, "b", b=holding(since=100.0)) == Turn(release="b")
    assert after(400.0, "b") == Turn(release="b")


def test_a_lent_model_in_use_stays() -> None:
    assert after(9000.0, "b", b=holding(in_flight=1)) == STAY
    assert after(9000.0, "b", b=waiting(8000.0)) == STAY


def test_a_lent_model_stays_where_nothing_is_to_return() -> None:
    for_good = Rules(allow=("b",), return_after=None)
    assert after(9000.0, "b", rules=for_good, b=holding(used=10.0)) == STAY


def test_the_one_that_was_used_last_goes_back_last() -> None:
    later, sooner = holding(used=20.0), holding(used=10.0)
    assert after(900.0, "bc", rivals={}, b=later, c=sooner) == Turn(release="c")
    assert after(315.0, "bc", rivals={}, b=later, c=sooner) == Turn(release="c", look=5.0)


def test_a_place_that_somebody_waits_for_does_not_go_back() -> None:
    there = after(
        900.0, "bd", rules=ALL, rivals=CARDS,
        b=holding(since=890.0, in_flight=1), d=holding(used=5.0), c=waiting(1.0),
    )  # fmt: skip
    assert there == Turn(look=20.0)


@pytest.mark.parametrize(
    ("usual", "unawaited", "ends"),
    [
        (None, None, inf),
        (None, 103.0, 105.0),
        (20.0, None, inf),
        (20.0, 103.0, 105.0),
        (20.0, 113.0, inf),
        (20.0, 112.9, 114.9),
        (2.0, 100.0, inf),
    ],
)
def test_a_load_that_nobody_waits_for_ends_unless_it_is_nearly_done(
    usual: float | None, unawaited: float | None, ends: float
) -> None:
    assert load_end(100.0, usual, unawaited) == pytest.approx(ends)
