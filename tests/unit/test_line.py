"""Who is next where many wait: no key can keep another one waiting by asking more."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from reconciler.gateway.head import Refusal
from reconciler.gateway.line import Line


@dataclass(eq=False)
class Standing:
    by: str
    number: int
    request: str = ""

    def admitted(self) -> None: ...

    def turned_away(self, refusal: Refusal) -> None: ...


def standing(keys: str) -> Line:
    line = Line()
    for number, by in enumerate(keys):
        line.join(Standing(by, number), float(number), is_late=False)
    return line


def test_the_first_is_named_by_how_long_it_waits() -> None:
    line = Line()
    assert line.first == ""
    for number, request in ((5.0, "newer-1"), (3.0, "older-1")):
        line.join(Standing("", 0, request), number, is_late=True)
    assert line.first == "older-1"


def called(line: Line) -> list[Standing]:
    order = []
    while line:
        chosen = line.next()
        assert isinstance(chosen, Standing)
        assert line.leave(chosen)
        assert not line.leave(chosen)
        order.append(chosen)
    return order


def test_keys_take_turns_and_of_one_key_who_came_first_is_next() -> None:
    order = [(one.by, one.number) for one in called(standing("aaabca"))]
    assert order == [("a", 0), ("b", 3), ("c", 4), ("a", 1), ("a", 2), ("a", 5)]


def test_who_comes_from_another_seat_has_the_place_of_when_it_began() -> None:
    line = standing("aa")
    line.join(Standing("a", 7), 0.5, is_late=True)
    assert line.oldest == 0.0
    assert [one.number for one in called(line)] == [0, 7, 1]
    assert line.oldest is None


@given(st.text("abcd", min_size=1, max_size=40))
def test_no_key_is_served_twice_while_another_waits(keys: str) -> None:
    order = [one.by for one in called(standing(keys))]
    for place, by in enumerate(order):
        rest = order[place + 1 :]
        again = rest.index(by) if by in rest else len(rest)
        # Who still waits then was served in between, or never waits behind this one.
        assert set(rest[again:]) <= {by, *rest[:again]}
