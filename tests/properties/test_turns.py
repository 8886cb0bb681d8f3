"""Requests take turns at the models of a host: what holds on every day, and two days by name."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest

from reconciler.core import turns
from reconciler.core.turns import Seating, Turn
from reconciler.model.lending import Rules
from tests.turns_day import UNLIMITED, Day, Host, any_host, one_place

TICK = 0.01


class DoubtedDay(Day):
    """A day on which each question is asked a second time, in another order."""

    def decided(self, now: float) -> Turn:
        found, host = super().decided(now), self.host
        rules = host.rules.model_copy(update={"allow": host.rules.allow[::-1]})
        serving, wanted = (sorted(names, reverse=True) for names in (self.serving, host.wanted))
        seating = Seating(serving, wanted, dict(reversed(host.rivals.items())))
        demands = dict(reversed(self.demands().items()))
        assert turns.turn(rules, seating, demands, host.grace, now) == found
        return found


class WatchedDay(Day):
    """A day on which the host is also asked while nothing happens and no look is due."""

    def _decide(self) -> None:
        super()._decide()
        if not self.is_at_rest:
            return
        told = self.turns[-1][1]
        until = self._events[0][0] if self._events else self.now
        moments = [self.now + share * (until - self.now) for share in (0.01, 0.3, 0.6, 0.9)]
        for moment in [*moments, until - TICK]:
            if moment > self.now:
                assert self.decided(moment)[:3] == told[:3], "it was to look sooner"


@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_the_laws_hold_on_a_thousand_days(first: int) -> None:
    for seed in range(first, first + 100):
        Day(any_host(seed), seed).lived(events=150)


@pytest.mark.parametrize("day", [DoubtedDay, WatchedDay])
def test_what_is_decided_depends_on_what_is_wanted_and_on_the_moments_it_names(
    day: type[Day],
) -> None:
    for seed in range(1000, 1060):
        day(any_host(seed), seed).lived(events=150)


def crowded(rules: Rules, clients: dict[str, int], *, at_once: int = UNLIMITED) -> Host:
    """Return a host whose models share one place; each client asks for the same one each time.

    The first is the one that the file wants.
    """
    models = "".join(model for model, number in clients.items() for _ in range(number))
    return Host(
        rules=rules,
        rivals=one_place("".join(clients)),
        wanted=frozenset(models[0]),
        asks=lambda _, client: models[client],
        clients=len(models),
        at_once=at_once,
        switch=20.0,
        answer=20.0,
        think=0.1,
    )


@pytest.mark.parametrize("clients", [{"a": 1, "b": 49}, {"a": 49, "b": 1}])
def test_a_client_that_asks_again_at_once_keeps_the_place_from_no_other(
    clients: dict[str, int],
) -> None:
    """With a place that is kept while it is in use, 49 of 50 clients were not answered at all."""
    host = crowded(Rules(allow=("a", "b")), clients)
    day = Day(host, seed=1).lived(events=10_000, until=1800.0)
    granted = [turn.grant for _, turn in day.turns if turn.grant]
    assert (day.given_up, granted[:3]) == (0, ["b", "a", "b"])
    assert len(granted) > 1800 / 70
    assert all(one != other for one, other in pairwise(granted))


def test_two_models_with_long_queues_do_not_keep_a_third_one_out() -> None:
    """Their oldest requests are always older than those of a model that has its turn each time."""
    rules = Rules(allow=("a", "b", "c"), max_wait=inf)
    host = crowded(rules, {"a": 20, "b": 20, "c": 1}, at_once=1)
    day = Day(host, seed=1).lived(events=10_000, until=3600.0)
    granted = [turn.grant for _, turn in day.turns if turn.grant]
    assert granted.count("c") >= len(granted) // 4
