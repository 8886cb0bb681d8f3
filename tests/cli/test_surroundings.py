"""In each of 200 seeded surroundings a command ends with a code of the table, not a traceback."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from reconciler.cli.arguments import parsers
from reconciler.onhost import units
from tests.surroundings import WORDS, Ground, full_disk

SEEDS = range(200)
VERBS = sorted(WORDS)
CODES = {0, 1, 2, 3, 4, 5, 64, 130}
PATIENCE = {"watch": 1.5, "serve": 1.5}
MOST_SECONDS = 60.0


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with full_disk(tmp_path_factory.mktemp("full")) as folder:
        yield folder


@pytest.fixture
def ground(tmp_path: Path, full: Path) -> Iterator[Ground]:
    yield Ground(tmp_path, full)
    for unit in units.units():
        with suppress(OSError):
            if (
                Path(f"/proc/{unit['identity']['pid']}/cwd")
                .resolve()
                .is_relative_to(tmp_path.resolve())
            ):
                os.kill(unit["identity"]["pid"], signal.SIGKILL)


def test_every_verb_is_met() -> None:
    assert set(parsers()[1]) <= {VERBS[seed % len(VERBS)] for seed in SEEDS}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_command_ends_with_a_sentence_and_a_code_of_the_table(seed: int, ground: Ground) -> None:
    verb = VERBS[seed % len(VERBS)]
    met = ground.draw(verb, Random(seed))  # noqa: S311 - the same ground for the same seed
    code, said = ground.run(met, PATIENCE.get(verb, MOST_SECONDS))
    assert "Traceback" not in said, (met, said)
    assert "Exception ignored" not in said, (met, said)
    assert "Unexpected" not in said, (met, said)
    assert code in CODES or (verb in PATIENCE and code == -signal.SIGTERM), (met, code, said)
