"""Whole days under `serve`: the laws of tests/whole_day hold on a thousand, and each would be seen.

Each law is planted a fault that breaks it, so that what holds does not hold by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import inf
from typing import Any, TypeAlias

import pytest

from reconciler.core import idleness, lending, policy, recovery, turns
from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints
from reconciler.core.seating import Seated
from reconciler.model.records import RunOpened
from tests import day_host, whole_day
from tests.day_clients import BelledLobby
from tests.whole_day import WholeDay, any_place

EVENTS = 40
Patch: TypeAlias = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def _quick_digests(monkeypatch: Patch) -> Iterator[None]:
    """Work out the digest of each slice once: a day asks for those of a few all the time."""
    known: dict[int, tuple[object, str]] = {}

    def remembered(value: object) -> str:
        if id(value) not in known:
            known[id(value)] = value, digest(value)
        return known[id(value)][1]

    for module in (lending, policy, idleness, day_host, whole_day):
        monkeypatch.setattr(module, "digest", remembered)
    yield
    known.clear()


@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_the_laws_hold_on_a_thousand_whole_days(first: int) -> None:
    lived(range(first, first + 100))


def lived(seeds: Iterable[int]) -> None:
    for seed in seeds:
        WholeDay(any_place(seed), seed).lived(EVENTS)


NAMED = {
    "nothing serves on a host that is on, and it sleeps nevertheless": (4, 100),
    "what was lent serves on after the wish failed, and the host rests once, not in a circle": (
        37, 100,
    ),
    "one of two that are lent does not come up, and the other one serves on": (93, 120),
    "what works of a wish that failed makes no way for what is lent beside it": (508, 60),
    "what the file wants does not come up beside what is lent, and is tried again soon": (
        12931, 60,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_days_on_which_something_was_wrong_once(name: str) -> None:
    seed, events = NAMED[name]
    WholeDay(any_place(seed), seed).lived(events)


def is_never_over(patch: Patch) -> None:
    patch.setattr(turns._Tenure, "residency_end", lambda *_: inf)


def is_never_lifted(patch: Patch) -> None:
    pause = BelledLobby.pause
    known = dict[int, set[str]]()

    def longer(lobby: BelledLobby, names: Any) -> None:
        known.setdefault(id(lobby), set()).update(names)
        pause(lobby, known[id(lobby)])

    patch.setattr(BelledLobby, "pause", longer)


def is_over_at_once(patch: Patch) -> None:
    patch.setattr(turns._Tenure, "end", lambda *_: -inf)


def waits_for_nobody(patch: Patch) -> None:
    patch.setattr(turns._Tenure, "is_free", lambda *_: True)


def is_gone_back_to(patch: Patch) -> None:
    def good(closed: Hints, opened: RunOpened) -> Hints:
        return replace(closed, last_good=opened.slice, last_good_digest=opened.digest)

    patch.setattr(recovery, "_lent_well", good)


def is_tried_at_once(patch: Patch) -> None:
    patch.setattr(policy, "_failed_to_lend", lambda *_: "")


def tries_to_rest_again_at_once(patch: Patch) -> None:
    patch.setattr(day_host, "AGAIN_SECONDS", 0.0)
    patch.setattr(day_host.DayHost, "_begins_to_rest", lambda *_: False)


def never_rests(patch: Patch) -> None:
    patch.setattr(turns, "rest_at", lambda *_: inf)


def rests_early(patch: Patch) -> None:
    patch.setattr(turns, "rest_at", lambda *_: -inf)


def is_theirs_too(patch: Patch) -> None:
    patch.setattr(Seated, "to_requests", property(lambda seated: frozenset(seated.lent)))


def keeps_nobody_out(patch: Patch) -> None:
    patch.setattr(lending, "kept_out", lambda *_: {})


PLANTED: dict[str, tuple[Callable[[Patch], None], str]] = {
    "a turn is never over": (is_never_over, "starved"),
    "a pause is never lifted": (is_never_lifted, "starved"),
    "a turn is over at once": (is_over_at_once, "thrash"),
    "what failed is tried again at once": (is_tried_at_once, "tried again too soon"),
    "a turn waits for nobody": (waits_for_nobody, "cut by a turn"),
    "what was lent is a state to go back to": (is_gone_back_to, "touched last_good_digest"),
    "what keeps a host from resting is looked at without end": (
        tries_to_rest_again_at_once, "busy without end",
    ),
    "a host rests while it is asked": (rests_early, "rests while asked"),
    "a host never rests": (never_rests, "does not come to rest"),
    "requests end what a person took": (is_theirs_too, "requests ended a person's lease"),
    "nobody is told what a person took": (keeps_nobody_out, "waits for a person|starved|busy"),
}  # fmt: skip


def test_a_failure_that_takes_with_it_what_serves_is_seen(monkeypatch: Patch) -> None:
    monkeypatch.setattr(lending, "newcomers", lambda brought, *_: sorted(brought))
    with pytest.raises(AssertionError, match="would cut requests"):
        WholeDay(any_place(93), 93).lived(120)


@pytest.mark.parametrize("fault", PLANTED)
def test_a_fault_against_a_law_is_seen(fault: str, monkeypatch: Patch) -> None:
    plant, law = PLANTED[fault]
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=law):
        lived(range(200))
