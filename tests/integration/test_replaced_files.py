"""When weights or a program are replaced under an engine, its memory counts as of the old."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.errors import DriverError
from tests import running
from tests.engine import Server, weights_in
from tests.rig import rig, value
from tests.stack import LEAST_REUSED, Stack, stack


@pytest.fixture
def here(tmp_path: Path, server: Server) -> Iterator[Stack]:
    with stack(tmp_path, server) as made, running.ending_all():
        yield made


def other_weights(path: Path) -> None:
    """Put other weights in place of these, by a rename with the old times, as a download does."""
    (path.parent / "new").mkdir()
    other = weights_in(path.parent / "new", seed=9)
    os.utime(other, (1, 1))
    other.replace(path)


def the_same_again(path: Path) -> None:
    """Write the same file again: nothing shows that it is what was read before."""
    path.with_suffix(".copy").write_bytes(path.read_bytes())
    path.with_suffix(".copy").replace(path)


@pytest.mark.parametrize("replace", [other_weights, the_same_again])
def test_a_conversation_with_weights_that_were_replaced_is_not_saved_for_the_new_ones(
    here: Stack, replace: Callable[[Path], None]
) -> None:
    weights = weights_in(here.folder)
    here.inventory(engine=here.server.of_weights(weights))
    here.desire("tiny-b")
    here.apply()
    held = here.remembered()
    assert held > 100
    replace(weights)
    assert (
        "ignored: unit tiny-b: its weights or its program changed since it started"
        in here.run("plan").stdout
    )
    here.desire("tiny-a")
    assert (
        "tiny-b: conversations end here: its weights or its program changed since it started"
        in here.run("plan").stdout
    )
    here.apply()
    assert not list(here.folder.rglob("tiny-b/slots/*"))
    here.desire("tiny-b")
    here.apply()
    assert here.talk()["cache_n"] < LEAST_REUSED * held
    assert here.remembered() > 100


def test_weights_that_the_engine_wrote_itself_keep_its_conversation(here: Stack) -> None:
    here.apply()
    held = here.remembered()
    for name in ("tiny-b", "tiny-a"):
        here.desire(name)
        here.apply()
    assert here.talk()["cache_n"] >= LEAST_REUSED * held


async def test_an_engine_whose_weights_are_replaced_at_the_last_moment_saves_and_restores_nothing(
    tmp_path: Path, server: Server
) -> None:
    weights = weights_in(tmp_path, seed=4)
    model = rig(tmp_path, server=server, weights=str(weights))
    with running.ending_all():
        async with model.running() as unit:
            await model.converse()
            await model.save(unit)
            the_same_again(weights)
            with pytest.raises(DriverError, match="changed since it started"):
                await model.save(unit)
            with pytest.raises(DriverError, match="changed since it started"):
                await model.restore(unit)
            assert not value(await model.engine.fingerprint()).fits(unit)
        async with model.running() as unit:
            assert value(await model.engine.fingerprint()).fits(unit)
