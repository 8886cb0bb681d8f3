"""A changed definition costs no conversation, which comes back where what it needs fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import Server, free_port, weights_in
from tests.stack import LEAST_REUSED, Stack, stack

OTHER_CACHE = ', args: ["--cache-type-k", "q8_0", "--flash-attn", "on"]'
"""What changes the values in a slot file."""


@pytest.fixture
def here(tmp_path: Path, server: Server) -> Iterator[Stack]:
    """Give a stack whose model runs from a file of weights that was there before it."""
    weights_in(tmp_path, seed=2)
    with stack(tmp_path, server) as made:
        define(made)
        made.desire("tiny-b")
        made.apply()
        yield made


def define(here: Stack, more: str = "") -> None:
    here.inventory(more, engine=here.server.of_weights(here.folder / "llama-2-64x2.gguf"))


def test_what_no_conversation_depends_on_may_change(here: Stack) -> None:
    held = here.remembered()
    before = here.engines()
    here.port = free_port()
    define(here, ', args: ["--no-warmup"]')
    assert "1 slot saved" in here.run("plan").stdout
    here.apply()
    assert here.engines().keys() == before.keys()
    assert here.engines() != before
    assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100


def test_a_bad_flag_costs_the_model_that_gets_it_no_conversation(here: Stack) -> None:
    held = here.remembered()
    define(here, ', args: ["--threads", "many"]')
    assert "rolled back" in here.apply(3).stdout
    assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100


def test_what_fits_only_the_older_definition_waits_for_it(here: Stack) -> None:
    held = here.remembered()
    define(here, OTHER_CACHE)
    assert "they come back with that one" in here.run("plan").stdout
    here.apply()
    assert here.talk()["cache_n"] < LEAST_REUSED * held
    define(here)
    here.apply()
    assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100
    define(here, OTHER_CACHE)
    here.apply()
    assert here.talk()["cache_n"] >= LEAST_REUSED * held


def test_a_rollback_and_the_way_forward_again_each_find_their_conversation(here: Stack) -> None:
    held = here.remembered()
    define(here, OTHER_CACHE)
    here.apply()
    here.talk()
    assert here.run("rollback", "--yes").returncode == 0
    assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100
    assert here.run("retry", "local", "--yes").returncode == 0
    assert here.talk()["cache_n"] >= LEAST_REUSED * held
