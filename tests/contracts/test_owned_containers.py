"""What our own containers promise beyond what every launcher does, on real engines."""

from __future__ import annotations

import os
import re
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from reconciler.drivers.access.shared.within import Within
from reconciler.drivers.engines import embedded
from reconciler.drivers.launchers import docker as launcher
from reconciler.drivers.launchers import process
from reconciler.errors import DriverError
from reconciler.model.facts import Known, Mark, Unit, UnitIdentity, Unknown
from reconciler.model.spec import Kind
from reconciler.onhost import docker
from tests import running
from tests.contracts.hosts import here
from tests.contracts.places import CONTROLLER, OBEDIENT, OwnedContainerPlace, owned_containers
from tests.dockers import IMAGE, PROGRAMS
from tests.engine import weights_in
from tests.rig import Rig, rig, units_of, value
from tests.sample_worlds import marked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from reconciler.onhost.docker_container import HeldContainer
    from tests.dockers import Dockerd

BEGIN = docker.begin
NAME = "reconciler-gemma3"
MARK = Mark(**running.mark("gemma3"))


@pytest.fixture(params=["docker", "podman"])
async def owned(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[OwnedContainerPlace]:
    async with owned_containers("thread", request.getfixturevalue(request.param), tmp_path) as one:
        yield one


@pytest.fixture
async def in_docker(docker: Dockerd, tmp_path: Path) -> AsyncIterator[OwnedContainerPlace]:
    async with owned_containers("thread", docker, tmp_path) as one:
        yield one


def names(engine: Dockerd) -> list[str]:
    listed = engine.ask("GET", "/containers/json?all=1")
    return sorted(each for one in listed for each in one["Names"])


async def refused(owned: OwnedContainerPlace, wanted: Any) -> str:
    with pytest.raises(DriverError) as told:
        await owned.launcher.start(wanted, MARK)
    return str(told.value)


async def tried(owned: OwnedContainerPlace, wanted: Any) -> str:
    """Start what may be over before it is seen; return what is said then."""
    try:
        await owned.launcher.start(wanted, MARK)
    except DriverError as error:
        return str(error)
    return ""


async def problem(owned: OwnedContainerPlace, wanted: Any) -> str:
    return str(value(await owned.launcher.binary(wanted)).problem)


class InContainer(Rig):
    """A model that is a container of our own."""

    async def start(self) -> Unit:
        started = await self.launcher.start(self.model, marked(self.model, CONTROLLER))
        return await self.look(UnitIdentity.model_validate(started["identity"]))

    async def look(self, _: UnitIdentity) -> Unit:
        (unit,) = units_of(await self.launcher.units())
        return unit


def in_container(engine: Dockerd, folder: Path) -> InContainer:
    """Define a model whose weights are in a folder of its own."""
    (folder / "weights").mkdir()
    options = embedded.Options(weights=str(weights_in(folder / "weights")))
    made = rig(folder, weights=options.weights)
    options_of_it: Any = {"image": IMAGE, "volumes": PROGRAMS, "socket": engine.socket}
    kind = Kind(kind="docker", options=options_of_it)
    model = made.model.model_copy(update={"launcher": kind})
    access = here(folder)
    named = launcher.inside(launcher.Options.model_validate(kind.options), "m")
    reached: Any = Within(access, named)
    driver = embedded.Driver(options, model, reached, time.time)
    return InContainer(model, access, launcher.Driver(access, [model]), driver, folder)


@pytest.mark.parametrize("kind", ["docker", "podman"])
async def test_a_conversation_survives_a_restart(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    engine: Dockerd = request.getfixturevalue(kind)
    with anyio.fail_after(running.DEADLINE):
        model = in_container(engine, tmp_path)
        async with model.running() as unit:
            said = await model.converse()
            assert (await model.save(unit))["failed"] == []
        assert {file.stat().st_uid for file in model.slots.iterdir()} == {os.getuid()}
        async with model.running() as unit:
            evidence = await model.restore(unit)
            assert [slot["outcome"] for slot in evidence["slots"]] == ["proven"]
            again = await model.converse()
            assert (again["content"], again["timings"]["prompt_n"]) == (said["content"], 1)
            assert value(await model.engine.fingerprint()).fits(unit)
            engine.ask("POST", f"/images/{IMAGE}/tag?repo=localhost/before&tag=latest")
            engine.ask("POST", f"/commit?container=reconciler-m&repo={IMAGE}", {})
            assert not value(await model.engine.fingerprint()).fits(unit), "another image now"
            engine.ask("POST", f"/images/localhost/before/tag?repo={IMAGE}&tag=latest")
            assert value(await model.engine.fingerprint()).fits(unit)
    engine.remove("reconciler-m")


async def test_its_mark_is_a_label_and_not_in_its_environment(
    owned: OwnedContainerPlace, tmp_path: Path
) -> None:
    identity = await owned.started(running.SLEEPER)
    environment = await anyio.Path(f"/proc/{identity.pid}/environ").read_bytes()
    assert b"OWN=1" in environment
    assert b"RECONCILER" not in environment
    fact = await process.Driver(here(tmp_path)).units()
    assert fact == Known(())
    fresh = await launcher.Driver(owned.access, [owned.wanted]).units()
    assert [unit.identity for unit in value(fresh)] == [identity]
    another = await launcher.Driver(here(tmp_path / "another"), [owned.wanted]).units()
    assert another == Known(()), "it was made from another folder"
    await owned.stop(identity, 5)


async def test_without_its_image_it_is_refused_with_what_to_do(owned: OwnedContainerPlace) -> None:
    wanted = owned.running("/bin/true", image="ghcr.io/ggml-org/llama.cpp:server-cuda")
    said = (
        "there is no image ghcr.io/ggml-org/llama.cpp:server-cuda here; fetch it with"
        f" `{owned.dockerd.command} pull ghcr.io/ggml-org/llama.cpp:server-cuda`"
    )
    assert await problem(owned, wanted) == said
    assert said in await refused(owned, wanted)
    assert f"/{NAME}" not in names(owned.dockerd)


async def test_a_container_of_its_name_that_is_not_ours_is_never_touched(
    owned: OwnedContainerPlace, tmp_path: Path
) -> None:
    owned.dockerd.create(NAME, ["/bin/true"], tmp_path)
    before = owned.dockerd.ask("GET", f"/containers/{NAME}/json")["Id"]
    said = f"there is a container {NAME} that was not made from here; remove it"
    assert said in await problem(owned, owned.wanted)
    assert said in await refused(owned, owned.wanted)
    assert owned.dockerd.ask("GET", f"/containers/{NAME}/json")["Id"] == before


async def test_what_ended_stays_with_its_log_until_the_next_takes_its_name(
    owned: OwnedContainerPlace,
) -> None:
    await owned.stop(await owned.started(running.SLEEPER), 5)
    assert value(await owned.launcher.log("gemma3")).lines == ("ready",)
    assert await problem(owned, owned.wanted) == ""
    first = owned.dockerd.ask("GET", f"/containers/{NAME}/json")["Id"]
    await owned.stop(await owned.started(running.SLEEPER), 5)
    assert owned.dockerd.ask("GET", f"/containers/{NAME}/json")["Id"] != first
    assert names(owned.dockerd).count(f"/{NAME}") == 1


async def test_one_that_was_made_and_never_started_is_no_unit_and_in_nobodys_way(
    owned: OwnedContainerPlace,
) -> None:
    await owned.stop(await owned.started(running.SLEEPER), 5)
    seen = owned.dockerd.ask("GET", f"/containers/{NAME}/json")
    owned.dockerd.remove(NAME)
    body = {**seen["Config"], "HostConfig": {"NetworkMode": "host"}}
    owned.dockerd.ask("POST", f"/containers/create?name={NAME}", body)
    assert await owned.ours() == []
    await owned.stop(await owned.started(running.SLEEPER), 5)


async def test_while_it_runs_no_second_one_is_started(owned: OwnedContainerPlace) -> None:
    identity = await owned.started(running.SLEEPER)
    assert f"container {NAME} runs already" in await refused(owned, owned.wanted)
    assert [unit.identity for unit in await owned.ours()] == [identity]
    await owned.stop(identity, 5)


async def test_a_card_that_cannot_be_given_is_told_and_nothing_is_left(
    owned: OwnedContainerPlace,
) -> None:
    said = await refused(owned, owned.running("/bin/sleep", "60", devices="all"))
    expected = {
        "docker": f"container {NAME} did not start; dockerd says: could not select device driver",
        "podman": f"container {NAME} did not start; podman says: .*CDI devices nvidia.com/gpu=all",
    }
    assert re.search(expected[owned.dockerd.command], said)
    assert f"/{NAME}" not in names(owned.dockerd)
    named = owned.running("/bin/sleep", "60", devices=["nvidia.com/gpu=0", "GPU-1"])
    assert NAME in await refused(owned, named)
    assert f"/{NAME}" not in names(owned.dockerd)


async def test_podman_gives_a_device_by_its_name(podman: Dockerd, tmp_path: Path) -> None:
    async with owned_containers("thread", podman, tmp_path) as owned:
        wanted = owned.running(
            *running.PYTHON, OBEDIENT + running.SLEEPER, devices=["example.com/gpu=all"], ipc="host"
        )
        started = await owned.launcher.start(wanted, MARK)
        identity = UnitIdentity.model_validate(started["identity"])
        # Before it says something, it may still be what podman starts it with.
        await owned.said()
        environment = await anyio.Path(f"/proc/{identity.pid}/environ").read_bytes()
        assert b"EXAMPLE_GPU=all" in environment
        await owned.stop(identity, 5)


async def test_a_program_that_is_missing_leaves_nothing_behind(owned: OwnedContainerPlace) -> None:
    said = await refused(owned, owned.running("/nowhere/llama-server"))
    assert re.search("no such file or directory", said, re.IGNORECASE)
    assert f"/{NAME}" not in names(owned.dockerd)


async def test_a_program_that_ends_at_once_leaves_its_words(owned: OwnedContainerPlace) -> None:
    wanted = owned.running("/bin/sh", "-c", "echo no such flag; exit 3")
    said = await tried(owned, wanted)
    assert not said or f"`{owned.dockerd.command} logs {NAME}` says more" in said
    with anyio.fail_after(running.DEADLINE):
        while await owned.ours():
            pass
        assert await owned.said("no such flag")


async def test_its_user_writes_into_its_folders(owned: OwnedContainerPlace, tmp_path: Path) -> None:
    text = "open('slots/a', 'w').close(); print('ready', flush=True); signal.pause()"
    argv = [*running.PYTHON, f"{OBEDIENT}print(os.getuid(), os.getgid())\n{text}"]
    wanted = owned.running(*argv, user="1000:1001", ipc="host", env={"MORE": "2"})
    started = await owned.launcher.start(wanted, MARK)
    assert await owned.said("1000") == "1000 1001"
    await owned.said()
    file = (tmp_path / "models" / "gemma3" / "slots" / "a").stat()
    assert (file.st_uid, file.st_gid) == (1000, 1001)
    await owned.stop(UnitIdentity.model_validate(started["identity"]), 0.1)


async def test_what_its_command_line_names_is_there_and_read_only(
    owned: OwnedContainerPlace, tmp_path: Path
) -> None:
    folder = tmp_path / "beside"
    folder.mkdir()
    for name in ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "lora.gguf"):
        (folder / name).write_text(name)
    text = f"{OBEDIENT}print('ready', *sorted(os.listdir(os.environ['AT'])), flush=True)"
    words = ["-m", f"{folder}/m-00001-of-00002.gguf", f"--lora-scaled={folder}/lora.gguf:0.5"]
    wanted = owned.running(
        *running.PYTHON, f"{text}; signal.pause()", *words, env={"AT": str(folder)}
    )
    started = await owned.launcher.start(wanted, MARK)
    seen = (await owned.said()).split()[1:]
    assert seen == ["lora.gguf", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    mounts = owned.dockerd.ask("GET", f"/containers/{NAME}/json")["Mounts"]
    ways = {one["Destination"]: one["RW"] for one in mounts}
    assert not ways[f"{folder}/lora.gguf"]
    assert ways[str(tmp_path / "models" / "gemma3")]
    await owned.stop(UnitIdentity.model_validate(started["identity"]), 0.1)


async def test_a_volume_that_would_hide_what_is_needed_is_refused(
    owned: OwnedContainerPlace, tmp_path: Path
) -> None:
    hides = f"/srv:{tmp_path}/models/gemma3/slots"
    wanted = owned.running("/bin/true", volumes=[*PROGRAMS, hides])
    assert f"the volume {hides} would hide" in await problem(owned, wanted)


async def test_a_volume_of_a_folder_that_is_not_there_is_refused_and_none_is_made(
    owned: OwnedContainerPlace, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    wanted = owned.running("/bin/true", volumes=[*PROGRAMS, f"{missing}:/data"])
    said = f"{missing}:/data needs {missing}, which is not there; make it (`mkdir -p {missing}`)"
    assert said in await problem(owned, wanted)
    assert said in await refused(owned, wanted)
    assert not missing.exists()


async def test_an_image_that_no_engine_can_have_is_not_there(
    in_docker: OwnedContainerPlace,
) -> None:
    wanted = in_docker.running("/bin/true", image="REGISTRY/llama")
    assert "there is no image REGISTRY/llama here" in await problem(in_docker, wanted)


async def test_the_image_says_what_runs_where_a_program_has_no_folder(
    in_docker: OwnedContainerPlace,
) -> None:
    """An image with a program of its own: what is written of one is not looked up in it."""
    engine = in_docker.dockerd
    await in_docker.stop(await in_docker.started(running.SLEEPER), 5)
    entry = {"Entrypoint": ["/bin/echo", "ready"]}
    engine.ask("POST", f"/commit?container={NAME}&repo=localhost/speaks", entry)
    wanted = in_docker.running("llama-server", "--port", "1", image="localhost/speaks")
    await tried(in_docker, wanted)
    with anyio.fail_after(running.DEADLINE):
        assert await in_docker.said("ready") == "ready --port 1"


def killed_before(engine: Dockerd, one: HeldContainer) -> Any:
    engine.end(signal.SIGKILL)
    return BEGIN(one)


def killed_after(engine: Dockerd, one: HeldContainer) -> Any:
    one.ask("POST", "/start")
    return killed_before(engine, one)


@pytest.mark.parametrize("killed", [killed_before, killed_after])
async def test_where_dockerd_is_killed_around_a_start_there_is_no_second_engine(
    in_docker: OwnedContainerPlace,
    killed: Callable[[Dockerd, HeldContainer], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = in_docker.dockerd
    monkeypatch.setattr(docker, "begin", partial(killed, engine))
    wanted = in_docker.model(running.SLEEPER)
    try:
        assert "dockerd does not answer" in await refused(in_docker, wanted)
        fact = await in_docker.launcher.units()
        assert isinstance(fact, Unknown), "and not none"
    finally:
        engine.begin()
    monkeypatch.undo()
    for unit in await in_docker.ours():
        assert f"container {NAME} runs already" in await refused(in_docker, wanted)
        await in_docker.launcher.stop(unit, 5)
    identity = await in_docker.started(running.SLEEPER)
    assert [unit.identity for unit in await in_docker.ours()] == [identity]
    assert names(engine).count(f"/{NAME}") == 1
    await in_docker.stop(identity, 5)
