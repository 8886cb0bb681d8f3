"""What is said of the program of a model, over each access to a host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from reconciler.drivers.launchers import process, systemd
from reconciler.model.facts import Known
from reconciler.model.spec import Command, ModelSpec
from tests.contracts.hosts import WAYS, here, reached
from tests.engine import EMBEDDED
from tests.rig import spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reconciler.ports import Launcher


def model(*argv: str) -> ModelSpec:
    return spec(Command(argv=argv), 8080)


@pytest.fixture(params=WAYS)
async def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Launcher]:
    async with reached(request.param, tmp_path) as access:
        yield process.Driver(access)


async def test_the_binary_is_the_program_or_its_script(launcher: Launcher, tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    missing = await launcher.binary(model(sys.executable, str(script)))
    assert isinstance(missing, Known)
    assert f"the program {script} cannot be used: there is no such file" in missing.value.problem
    script.write_text("pass")
    found = await launcher.binary(model(sys.executable, str(script)))
    assert isinstance(found, Known)
    assert (found.value.path, found.value.problem, found.value.size) == (str(script), "", 4)


async def test_a_binary_that_is_not_there_is_known_to_be_missing(launcher: Launcher) -> None:
    fact = await launcher.binary(model("no-such-llama-server"))
    assert isinstance(fact, Known)
    assert "there is no program no-such-llama-server" in fact.value.problem


@pytest.mark.parametrize(("flag", "said"), [("-c", ""), ("--flash-atn", "--flash-atn: unknown")])
async def test_a_program_is_asked_for_its_flags(launcher: Launcher, flag: str, said: str) -> None:
    fact = await launcher.flags(model(*EMBEDDED.program, flag, "9"))
    assert isinstance(fact, Known)
    assert fact.value.problem.partition(" to ")[0] == said


async def test_the_flags_of_a_service_are_its_own(tmp_path: Path) -> None:
    fact = await systemd.Driver(here(tmp_path), ()).flags(model("llama-server", "--flash-atn"))
    assert isinstance(fact, Known)
    assert fact.value.problem == ""
