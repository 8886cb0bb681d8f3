"""A host of which no request wanted anything for long comes to rest, unless that is in the way."""

from __future__ import annotations

import pytest

from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints
from reconciler.model.leasing import Leased
from reconciler.model.lending import Idle, Rest, Rules
from reconciler.model.power import Guards
from reconciler.model.reason import Reason
from tests.crash.lenders import leaves_the_wish_alone, taken
from tests.crash.sleepers import resting
from tests.crash.stage import Stage, serving_a
from tests.crash.story import TEA, remembers, serves
from tests.runs import of_host
from tests.sample_worlds import HOST


def known(stage: Stage) -> Hints:
    return of_host(stage.kept().rows(), HOST)


def unused(then: Rest) -> Stage:
    stage = serving_a()
    idle = Idle(after=60.0, then=then)
    stage.rules, stage.idles = Rules(allow=("b",), idle=idle, sleeps=then != "unload"), True
    return stage


@pytest.mark.parametrize(("then", "power"), [("unload", "on"), ("off", "off")])
def test_it_rests_and_what_requests_brought_in_is_over(then: Rest, power: str) -> None:
    stage = unused(then)
    stage.kept().append(Leased(host=HOST, model="b", wanted=digest(stage.wanted)))
    stage.ends("applied")
    assert (stage.world.power, stage.world.serving()) == (power, {})
    assert known(stage).leases == {}
    leaves_the_wish_alone(stage)
    stage.idles = False
    stage.ends("in_sync")


def test_what_is_in_the_way_of_its_sleep_leaves_its_model_as_it_is_and_is_told() -> None:
    stage = unused("off")
    stage.world.guards = Guards(permission_problem=Reason("ann is logged in"))
    verdict = stage.ends("in_sync")
    assert "it could not come to rest: " in verdict.message
    assert "ann is logged in" in verdict.message
    remembers(TEA)(stage)
    failure = known(stage).restless
    assert failure is not None
    assert (failure.attempts, known(stage).idled) == (1, None)
    leaves_the_wish_alone(stage)


def test_what_a_person_took_does_not_rest() -> None:
    stage = taken(unused("off"))
    stage.ends("applied")
    serves("b")(stage)


def test_a_host_that_does_not_come_up_is_tried_again_only_after_a_while() -> None:
    stage = resting("off")
    stage.ends("applied")
    stage.world.boots_in = 1e6
    stage.kept().append(Leased(host=HOST, model="a", wanted=digest(stage.wanted)))
    verdict = stage.ends("in_sync")
    assert stage.world.power == "off"
    assert any("a cannot be brought in: wake box" in line for line in stage.said)
    assert verdict.runs
    assert ([*known(stage).leases], [*known(stage).unlendable]) == ([], ["a"])
    leaves_the_wish_alone(stage)
