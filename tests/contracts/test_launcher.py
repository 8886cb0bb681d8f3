"""What every launcher promises, over each access to a host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from reconciler.drivers.launchers import process
from reconciler.errors import DriverError
from reconciler.model.facts import Known, LogPart, Mark, PortState, Unit, UnitIdentity
from reconciler.model.spec import Capabilities, Command, Kind, ModelSpec
from tests import running
from tests.contracts.hosts import WAYS, reached

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from reconciler.ports import Launcher

CONTROLLER = running.mark("")["controller"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


@pytest.fixture(params=WAYS)
async def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Launcher]:
    async with reached(request.param, tmp_path) as access:
        yield process.Driver(process.Options(), access)


def model(*argv: str, name: str = "gemma3") -> ModelSpec:
    return ModelSpec(
        name=name, engine=Kind(kind="llamacpp"), launcher=Kind(kind="process"), port=8080, task="chat",
        conversations="keep", stable_for=10.0, vram_bytes=None, serves=None, digest="v1:sha256:00000000",
        command=Command(argv=argv, env={"OWN": "1"}, folders=("slots",)), capabilities=Capabilities(),
    )  # fmt: skip


def program(text: str) -> ModelSpec:
    return model(*running.PYTHON, text)


async def ours(launcher: Launcher) -> list[Unit]:
    fact = await launcher.units()
    assert isinstance(fact, Known)
    return [unit for unit in fact.value if unit.mark.controller == CONTROLLER]


async def started(launcher: Launcher, text: str, directory: Path) -> UnitIdentity:
    evidence = await launcher.start(program(text), CONTROLLER)
    running.wait_for_line(directory / "models/gemma3/log")
    return UnitIdentity.model_validate(evidence["identity"])


async def test_a_started_unit_is_seen_with_its_mark_and_gone_after_a_stop(launcher: Launcher, tmp_path: Path) -> None:
    identity = await started(launcher, running.FAMILY, tmp_path)
    (unit,) = await ours(launcher)
    assert unit.identity == identity
    assert unit.mark == Mark(controller=CONTROLLER, model="gemma3", digest="v1:sha256:00000000")
    assert len(unit.members) == 5
    assert (tmp_path / "models/gemma3/slots").is_dir()
    evidence = await launcher.stop(identity, 5)
    assert evidence["gone"] is True
    assert await ours(launcher) == []
    assert (await launcher.stop(identity, 5))["rungs"] == []


async def test_the_owner_of_a_port_is_its_unit_then_nobody(launcher: Launcher, tmp_path: Path) -> None:
    identity = await started(launcher, running.LISTENER, tmp_path)
    port = int(running.wait_for_line(tmp_path / "models/gemma3/log").split()[1])
    fact = await launcher.port(port)
    assert isinstance(fact, Known)
    assert fact.value.owner is not None
    assert (fact.value.owner.pid, fact.value.owner.model) == (identity.pid, "gemma3")
    await launcher.stop(identity, 5)
    assert await launcher.port(port) == Known(PortState())


async def test_the_log_is_what_the_unit_wrote_last(launcher: Launcher, tmp_path: Path) -> None:
    assert await launcher.log("gemma3") == Known(LogPart())
    await started(launcher, "import signal; print('x'); print('ready', flush=True); signal.pause()", tmp_path)
    first = await launcher.log("gemma3", lines=1)
    assert isinstance(first, Known)
    assert first.value.lines == ("ready",)
    again = await launcher.log("gemma3", after=first.value.end)
    assert again == Known(LogPart(end=first.value.end))


async def test_a_program_that_cannot_start_is_an_error_and_no_unit(launcher: Launcher) -> None:
    with pytest.raises(DriverError, match="cannot start /nowhere/llama-server"):
        await launcher.start(model("/nowhere/llama-server"), CONTROLLER)
    assert await ours(launcher) == []


async def test_a_relative_program_is_the_models_own(launcher: Launcher, tmp_path: Path) -> None:
    own = tmp_path / "models/gemma3/engine"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\necho ready\nexec sleep 60\n")
    own.chmod(0o755)
    wanted = model("./engine")
    fact = await launcher.binary(wanted)
    assert isinstance(fact, Known)
    assert (fact.value.path, fact.value.problem) == (str(own), "")
    await launcher.start(wanted, CONTROLLER)
    running.wait_for_line(tmp_path / "models/gemma3/log")


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
