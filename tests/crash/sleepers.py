"""Stories of a host that sleeps."""

from __future__ import annotations

from reconciler.core.canonical import digest
from reconciler.model.gpu import GIB
from reconciler.model.leasing import Idled, Leased
from reconciler.model.lending import Idle, Rest, Rules
from tests.crash.lenders import leaves_the_wish_alone, lends_b, taken
from tests.crash.stage import PREPARE, Stage, serving_a
from tests.crash.story import TEA, remembers, serves, story, wants
from tests.runs import of_host
from tests.sample_worlds import HOST

SOON = 1.0
"""Seconds of a boot: each call of a wait for it is a place to die at."""


def is_off(stage: Stage) -> None:
    assert stage.world.power == "off"
    assert [file.holds for file in stage.world.files if file.sidecar] == [TEA]


@story(is_off)
def power_off() -> Stage:
    return wants(serving_a(), "a", power="off")


@story(remembers(TEA))
def power_on() -> Stage:
    stage = power_off()
    stage.ends("applied")
    stage.world.boots_in = SOON
    return wants(stage, "a", power="on")


def is_prepared(stage: Stage) -> None:
    remembers(TEA)(stage)
    assert stage.world.prepared == digest(PREPARE)


@story(is_prepared)
def power_on_to_a_host_that_has_to_be_prepared() -> Stage:
    stage = power_off()
    stage.ends("applied")
    stage.world.boots_in = SOON
    stage.world.is_to_be_prepared = True
    return wants(stage, "a", power="on", prepare=PREPARE)


@story(is_prepared)
def power_on_to_a_job_that_began_with_the_host() -> Stage:
    stage = power_on_to_a_host_that_has_to_be_prepared()
    stage.world.memory_bytes, stage.world.job_begins = GIB, True
    return stage


@story(is_prepared)
def prepared_anew_beside_its_engine() -> Stage:
    stage = serving_a()
    stage.world.is_to_be_prepared = True
    return wants(stage, "a", prepare=PREPARE)


def is_off_as_far_as_is_known(stage: Stage) -> None:
    is_off(stage)
    stage.ends("in_sync")


@story(is_off_as_far_as_is_known)
def power_off_unwatched() -> Stage:
    stage = power_off()
    stage.world.watched = False
    return stage


@story(remembers(TEA), long=True)
def power_on_unwatched() -> Stage:
    stage = power_off_unwatched()
    stage.ends("applied")
    return wants(stage, "a", power="on")


def is_asleep(stage: Stage) -> None:
    assert stage.world.power == "suspended"
    stage.ends("in_sync")


@story(is_asleep)
def suspend_that_its_meter_cannot_see() -> Stage:
    stage = wants(serving_a(), "a", power="suspend")
    stage.world.sees_sleep = False
    return stage


def resting(then: Rest, *, sleeps: bool = True) -> Stage:
    """Return a stage where no request came for so long that the host comes to rest."""
    stage = serving_a()
    idle = Idle(after=60.0, then=then)
    stage.rules = Rules(allow=("b",), idle=idle, sleeps=sleeps)
    wanted, boot_id = digest(stage.wanted), stage.world.boot_id
    stage.kept().append(Idled(host=HOST, then=then, wanted=wanted, boot_id=boot_id))
    return stage


def asked(stage: Stage, model: str) -> Stage:
    """Let the host rest, and then a request for a model rouse it."""
    stage.ends("applied")
    stage.world.boots_in = SOON
    stage.kept().append(Leased(host=HOST, model=model, wanted=digest(stage.wanted)))
    return stage


def rests_off(stage: Stage) -> None:
    is_off(stage)
    leaves_the_wish_alone(stage)


def rests_unloaded(stage: Stage) -> None:
    serves()(stage)
    assert stage.world.power == "on"
    assert [file.holds for file in stage.world.files if file.sidecar] == [TEA]
    leaves_the_wish_alone(stage)


def is_roused(stage: Stage) -> None:
    remembers(TEA)(stage)
    leaves_the_wish_alone(stage)
    assert of_host(stage.kept().rows(), HOST).idled is None


@story(rests_off)
def idle_goes_off() -> Stage:
    return resting("off")


@story(rests_unloaded)
def idle_is_unloaded() -> Stage:
    return resting("unload", sleeps=False)


@story(is_roused)
def idle_is_roused() -> Stage:
    return asked(resting("unload", sleeps=False), "a")


@story(is_roused)
def idle_is_woken() -> Stage:
    return asked(resting("off"), "a")


@story(lends_b)
def idle_is_woken_for_another() -> Stage:
    return asked(resting("off"), "b")


@story(is_roused)
def idle_is_switched_on_by_hand() -> Stage:
    stage = resting("off")
    stage.ends("applied")
    stage.world.reboot()
    return stage


@story(lends_b)
def a_person_wakes() -> Stage:
    """No gateway is there any more."""
    stage = resting("off")
    stage.ends("applied")
    stage.world.boots_in = SOON
    stage.rules = stage.rules.without_requests
    return taken(stage)
