"""The stories of an engine that a person wants afresh, whose controller dies at any call of it."""

from __future__ import annotations

from reconciler.fakes.processes import Nature
from reconciler.model.records import Restart, RunClosed
from tests.crash.stage import A, Stage, serving_a
from tests.crash.story import TEA, remembers, serves, story
from tests.runs import of_host
from tests.sample_worlds import HOST

FIRST = 101
"""The pid of the engine of which a restart is asked."""


def asked(stage: Stage) -> Stage:
    (unit,) = stage.world.units()
    assert unit.identity.pid == FIRST
    stage.kept().append(Restart(host=HOST, model="a", identity=unit.identity))
    return stage


def is_another(stage: Stage) -> None:
    remembers(TEA)(stage)
    assert [one.identity.pid for one in stage.world.units()] != [FIRST]


def is_asked_no_more(stage: Stage) -> None:
    serves()(stage)
    rows = stage.kept().rows()
    assert of_host(rows, HOST).restarts == {}
    failed = [row.record for row in rows if isinstance(row.record, RunClosed)]
    assert "failed" in {one.verdict for one in failed}


@story(is_another)
def restart() -> Stage:
    return asked(serving_a())


@story(is_asked_no_more)
def restart_that_fails() -> Stage:
    stage = asked(serving_a())
    stage.world.natures[A.digest] = Nature(dies_after=0.1)
    return stage
