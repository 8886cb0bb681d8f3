"""The stories of models that are lent, whose controller dies at any call of it."""

from __future__ import annotations

from reconciler.core.canonical import digest
from reconciler.fakes.processes import Nature
from reconciler.model.leasing import Leased, Term
from reconciler.model.lending import NOTHING_LENT, Rules
from tests.crash.stage import B, Stage, serving_a
from tests.crash.story import TEA, keeps_on_disk, remembers, story
from tests.runs import of_host
from tests.sample_worlds import HOST

HOUR = 3600.0


def lent(stage: Stage) -> Stage:
    """Let requests have brought in b beside what is wanted."""
    stage.rules = Rules(allow=("b",))
    stage.kept().append(Leased(host=HOST, model="b", wanted=digest(stage.wanted)))
    return stage


def taken(stage: Stage) -> Stage:
    """Let a person have taken b for an hour, with no gateway there."""
    term = Term(by="ann", reason="tests", until=stage.world.clock.wall() + HOUR)
    lease = Leased(host=HOST, model="b", wanted=digest(stage.wanted), term=term)
    stage.kept().append(lease)
    return stage


def leaves_the_wish_alone(stage: Stage) -> None:
    known = of_host(stage.kept().rows(), HOST)
    assert known.last_good_digest == digest(stage.wanted)
    assert (known.generation, known.quarantine) == (1, None)


def is_back(stage: Stage) -> None:
    remembers(TEA)(stage)
    leaves_the_wish_alone(stage)
    assert of_host(stage.kept().rows(), HOST).leases == {}


def lends_b(stage: Stage) -> None:
    keeps_on_disk("b")(stage)
    leaves_the_wish_alone(stage)


def lends_nothing(stage: Stage) -> None:
    remembers(TEA)(stage)
    leaves_the_wish_alone(stage)
    known = of_host(stage.kept().rows(), HOST)
    assert (known.leases, [*known.unlendable]) == ({}, ["b"])


@story(lends_b)
def requests_bring_in() -> Stage:
    return lent(serving_a())


@story(lends_nothing)
def requests_bring_in_what_fails() -> Stage:
    stage = lent(serving_a())
    stage.world.natures[B.digest] = Nature(dies_after=0.1)
    return stage


@story(remembers(TEA))
def permission_ends() -> Stage:
    stage = lent(serving_a())
    stage.ends("applied")
    stage.rules = NOTHING_LENT
    return stage


@story(lends_b)
def a_person_takes() -> Stage:
    return taken(serving_a())


@story(lends_nothing)
def a_person_takes_what_fails() -> Stage:
    stage = taken(serving_a())
    stage.world.natures[B.digest] = Nature(dies_after=0.1)
    return stage


@story(is_back)
def the_time_of_a_person_is_over() -> Stage:
    stage = taken(serving_a())
    stage.ends("applied")
    stage.world.clock.now += HOUR
    return stage
