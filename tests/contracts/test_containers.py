"""What the launcher of containers promises beyond what every launcher does, on real engines."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import lowlevel

from reconciler.drivers.launchers import docker as docker_launcher
from reconciler.errors import DriverError
from reconciler.model.facts import Known, Mark
from reconciler.model.spec import Kind
from tests import running
from tests.contracts.places import OBEDIENT, ContainerPlace, containers
from tests.rig import units_of, value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.dockers import Dockerd

MARK = Mark(**running.mark("gemma3"))
GPU = {"DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}]}


@pytest.fixture(params=["docker", "podman"])
async def container(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[ContainerPlace]:
    async with containers("thread", request.getfixturevalue(request.param), tmp_path) as one:
        yield one


@pytest.fixture
async def in_docker(docker: Dockerd, tmp_path: Path) -> AsyncIterator[ContainerPlace]:
    async with containers("thread", docker, tmp_path) as one:
        yield one


async def test_a_container_that_is_not_there_is_known_to_be_missing_and_cannot_be_started(
    container: ContainerPlace,
) -> None:
    command = f"{container.dockerd.command} create --name gemma3"
    missing = f"there is no container gemma3; make it (`{command}"
    fact = await container.launcher.binary(container.wanted)
    assert isinstance(fact, Known)
    assert missing in str(fact.value.problem)
    with pytest.raises(DriverError, match=re.escape(missing)):
        await container.launcher.start(container.wanted, MARK)
    assert await container.ours() == []


async def test_where_no_engine_answers_nothing_is_known_of_its_containers_alone(
    container: ContainerPlace, tmp_path: Path
) -> None:
    gone = Kind(kind="docker", options={"socket": str(tmp_path / "docker.sock")})
    silent = container.wanted.model_copy(update={"name": "silent", "launcher": gone})
    identity = await container.started(running.SLEEPER)
    driver = docker_launcher.Driver(container.access, [silent, container.wanted])
    unseen, seen = value(await driver.units())
    assert (unseen.model, unseen.launcher) == ("silent", gone)
    assert "dockerd does not answer" in unseen.reason
    assert "`systemctl status docker`" in unseen.reason
    assert seen.identity == identity
    await container.stop(identity, 5)
    assert await docker_launcher.Driver(container.access, []).units() == Known(())


async def test_a_container_that_could_not_serve_again_is_not_started(
    container: ContainerPlace,
) -> None:
    container.define(["/bin/sleep", "60"], AutoRemove=True)
    with pytest.raises(DriverError, match="is removed when it ends"):
        await container.launcher.start(container.wanted, MARK)
    assert await container.ours() == []


async def test_a_container_that_no_port_leads_to_is_not_to_be_started(
    container: ContainerPlace,
) -> None:
    container.define(["/bin/sleep", "60"], NetworkMode="none")
    fact = await container.launcher.binary(container.wanted)
    assert isinstance(fact, Known)
    assert "has its own network, and publishes no port" in fact.value.problem


async def test_a_container_whose_program_is_missing_says_so(container: ContainerPlace) -> None:
    container.define(["/nowhere/llama-server"])
    said = r"container gemma3 did not start.*says: .*no such file or directory"
    with pytest.raises(DriverError, match=re.compile(said, re.IGNORECASE)):
        await container.launcher.start(container.wanted, MARK)
    assert await container.ours() == []


async def test_a_card_that_docker_cannot_give_is_told_in_its_words(
    in_docker: ContainerPlace,
) -> None:
    in_docker.define(["/bin/sleep", "60"], **GPU)
    said = "container gemma3 did not start; dockerd says: could not select device driver"
    with pytest.raises(DriverError, match=said):
        await in_docker.launcher.start(in_docker.wanted, MARK)
    assert await in_docker.ours() == []


async def test_a_container_that_is_started_again_and_again_is_a_unit_that_can_be_stopped(
    container: ContainerPlace,
) -> None:
    container.define(["/bin/sh", "-c", "exit 7"], RestartPolicy={"Name": "always"})
    container.dockerd.ask("POST", "/containers/gemma3/start")
    with anyio.fail_after(running.DEADLINE):
        while True:
            (unit,) = await container.ours()
            if unit.restarts > 1 and unit.ended == "it ended with status 7":
                break
    assert (unit.identity.pid, unit.members, unit.leader) == (0, (), False)
    await container.launcher.stop(unit, 5)
    assert await container.ours() == []


async def test_a_container_that_its_engine_started_again_is_another_unit(
    container: ContainerPlace,
) -> None:
    first = await container.started(running.SLEEPER)
    container.dockerd.ask("POST", "/containers/gemma3/restart?t=5")
    await container.said()
    (second,) = await container.ours()
    assert second.identity.pid != first.pid
    assert second.identity.invocation.partition("@")[0] == first.invocation.partition("@")[0]
    assert (await container.stop(first, 5))["rungs"] == []
    assert (await container.stop(second.identity, 5))["rungs"] == ["term"]


async def test_one_that_comes_back_at_boot_says_so_and_what_keeps_it_down(
    container: ContainerPlace,
) -> None:
    container.define([*running.PYTHON, OBEDIENT + running.SLEEPER])
    await container.launcher.start(container.wanted, MARK)
    assert [unit.returns for unit in await container.ours()] == [""]
    container.define(
        [*running.PYTHON, OBEDIENT + running.SLEEPER], RestartPolicy={"Name": "always"}
    )
    await container.launcher.start(container.wanted, MARK)
    (unit,) = await container.ours()
    told = {
        "docker": "`docker update --restart=no gemma3` keeps it down",
        "podman": "make it again",
    }
    assert told[container.dockerd.command] in unit.returns
    await container.launcher.stop(unit, 5)
    assert await container.ours() == []


DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


async def test_one_that_somebody_else_is_stopping_runs_until_it_is_gone(
    container: ContainerPlace,
) -> None:
    first = await container.started(DEAF + running.SLEEPER)
    with anyio.fail_after(running.DEADLINE):
        async with anyio.create_task_group() as group:
            stop = partial(container.dockerd.ask, "POST", "/containers/gemma3/stop?t=2")
            group.start_soon(anyio.to_thread.run_sync, stop)
            # podman calls it "stopping" then, and not running.
            while container.dockerd.command == "podman" and is_up(container.dockerd, "gemma3"):
                await lowlevel.checkpoint()
            (unit,) = await container.ours()
            assert unit.identity == first
            await container.launcher.stop(unit, 1)
            with pytest.raises(ProcessLookupError):
                os.kill(first.pid, 0)


async def test_one_that_was_renamed_meanwhile_is_the_one_that_is_stopped(
    container: ContainerPlace,
) -> None:
    first = await container.started(running.SLEEPER)
    container.dockerd.ask("POST", "/containers/gemma3/rename?name=other")
    try:
        assert (await container.stop(first, 5))["rungs"] == ["term"]
        assert not is_up(container.dockerd, "other")
    finally:
        container.dockerd.remove("other")


def is_up(engine: Dockerd, name: str) -> bool:
    return bool(engine.state(name)["Running"])


async def test_one_that_is_paused_runs_and_can_be_stopped(in_docker: ContainerPlace) -> None:
    first = await in_docker.started(running.SLEEPER)
    in_docker.dockerd.ask("POST", "/containers/gemma3/pause")
    (unit,) = await in_docker.ours()
    assert unit.identity == first
    await in_docker.launcher.stop(unit, 1)
    assert await in_docker.ours() == []


async def test_a_container_that_two_models_name_is_told_as_both(container: ContainerPlace) -> None:
    first = await container.started(running.SLEEPER)
    by_id = {"container": first.invocation.partition("@")[0], "socket": container.dockerd.socket}
    launcher = Kind.model_validate({"kind": "docker", "options": by_id})
    other = container.wanted.model_copy(update={"name": "by-id", "launcher": launcher})
    driver = docker_launcher.Driver(container.access, [container.wanted, other])
    told = {unit.mark.model: unit.identity for unit in units_of(await driver.units())}
    assert told == {"gemma3": first, "by-id": first}
    await container.stop(first, 5)
