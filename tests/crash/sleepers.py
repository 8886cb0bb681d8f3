"""Stories of a host that sleeps."""

from __future__ import annotations

from reconciler.core.canonical import digest
from reconciler.model.gpu import GIB
from tests.crash.stage import PREPARE, Stage, serving_a
from tests.crash.story import TEA, remembers, story, wants

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
