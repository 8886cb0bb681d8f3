"""What the launcher of services promises of odd ones: masked, hanging, or running a container."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from reconciler.errors import DriverError
from reconciler.model.facts import Known, Mark
from tests import running
from tests.contracts.places import OBEDIENT, ServicePlace, services
from tests.dockers import IMAGE, PROGRAMS
from tests.service_docker import ServiceDocker
from tests.service_podman import ServicePodman

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reconciler.model.spec import ModelSpec
    from tests.booted import Booted

MARK = Mark(**running.mark("gemma3"))
SCOPED = "ExecStart=/bin/sh -c 'systemd-run --scope --quiet /bin/sleep 60 & exec sleep 60'"


@pytest.fixture
async def place(booted: Booted, tmp_path: Path) -> AsyncIterator[ServicePlace]:
    async with services("system", booted, tmp_path) as one:
        yield one


async def test_a_service_that_is_masked_is_not_started_and_says_what_unmasks_it(
    place: ServicePlace,
) -> None:
    place.systemctl("mask", "--runtime", "gemma3.service")
    try:
        fact = await place.launcher.binary(place.wanted)
        with pytest.raises(DriverError, match="is masked"):
            await place.launcher.start(place.wanted, MARK)
    finally:
        place.systemctl("unmask", "--runtime", "gemma3.service")
    assert isinstance(fact, Known)
    assert fact.value.problem == (
        "gemma3.service is masked; `systemctl unmask gemma3.service` lets it start"
    )


@pytest.mark.parametrize(
    "lines",
    [
        ("ExecStart=sleep 60",),
        ("RootDirectory=/run/elsewhere", "ExecStart=/opt/llama-server"),
        ("BindReadOnlyPaths=/bin/sleep:/opt/llama-server", "ExecStart=/opt/llama-server"),
        ("ExecSearchPath=/run/elsewhere", "ExecStart=llama-server"),
    ],
    ids=lambda lines: lines[0],
)
async def test_a_program_that_is_found_by_its_service_alone_is_not_missed(
    place: ServicePlace, lines: tuple[str, ...]
) -> None:
    place.define(*lines)
    fact = await place.launcher.binary(place.wanted)
    assert isinstance(fact, Known)
    assert fact.value.problem == ""


async def test_a_service_that_another_unit_starts_again_is_told_before_its_stop_and_after(
    place: ServicePlace, booted: Booted
) -> None:
    place.define("ExecStart=/bin/sleep 60")
    booted.define(
        "keeper.service", "[Unit]\nUpholds=gemma3.service\n[Service]\nExecStart=/bin/sleep 60\n"
    )
    place.systemctl("start", "gemma3.service", "keeper.service")
    (unit,) = await place.ours()
    who = "keeper.service may start gemma3.service again; `systemctl stop keeper.service`"
    assert unit.returns == f"{who} lets it stay down"
    with pytest.raises(DriverError, match=f"something has started it again; {who}"):
        await place.launcher.stop(unit, 5)
    place.systemctl("stop", "keeper.service")
    (again,) = await place.ours()
    assert (await place.launcher.stop(again, 5))["rungs"] == ["term"]
    booted.path("/run/systemd/system/keeper.service").unlink()
    booted.run("systemctl", "daemon-reload")


async def test_a_drop_in_that_systemd_has_not_read_yet_is_another_definition(
    place: ServicePlace, booted: Booted
) -> None:
    folder = "/run/systemd/system/gemma3.service.d"
    booted.write(f"{folder}/read.conf", "[Service]\nNice=1\n")
    place.define("ExecStart=/bin/sleep 60")
    await place.launcher.start(place.wanted, MARK)
    (before,) = await place.ours()
    booted.write(f"{folder}/unread.conf", "[Service]\nNice=2\n")
    (after,) = await place.ours()
    await place.launcher.stop(after, 5)
    booted.run("rm", "-r", folder)
    assert [unit.runs(place.wanted) for unit in (before, after)] == [True, False]


async def test_a_service_that_leaves_no_process_is_not_started(place: ServicePlace) -> None:
    place.define("Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/true")
    with pytest.raises(DriverError, match="has no process once it has started"):
        await place.launcher.start(place.wanted, MARK)


async def test_a_service_whose_main_process_is_not_known_did_not_start_and_can_be_ended(
    place: ServicePlace,
) -> None:
    forks = "ExecStart=/bin/sh -c 'sleep 60 & sleep 60 & exit 0'"
    place.define("Type=forking", "GuessMainPID=no", forks)
    with pytest.raises(DriverError, match="systemd knows no main process of it"):
        await place.launcher.start(place.wanted, MARK)
    (left,) = await place.ours()
    assert (left.leader, len(left.members)) == (False, 2)
    await place.launcher.stop(left, 5)
    assert await place.ours() == []


async def test_a_service_that_came_back_shows_also_why_it_failed_before(
    place: ServicePlace, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    fails_once = (
        f"test -e {seen} && echo hello && exec sleep 60; touch {seen}; echo no such card; exit 3"
    )
    place.define(f"ExecStart=/bin/sh -c '{fails_once}'", "Restart=always", "RestartSec=50ms")
    place.systemctl("start", "gemma3.service")
    running.until(lambda: _shown(place, "NRestarts", "SubState") == ["running", "1"])
    fact = await place.launcher.log("gemma3")
    place.systemctl("stop", "gemma3.service")
    assert isinstance(fact, Known)
    assert fact.value.lines in {("no such card",), ("no such card", "hello")}


async def test_a_service_whose_environment_is_gone_is_not_started(
    place: ServicePlace, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.env"
    said = (
        f"gemma3.service reads {gone}, its EnvironmentFile=, which is not there; write it, or"
        f" `EnvironmentFile=-{gone}` if it may be missing"
    )
    for written, problem in ((f"{gone}", said), (f"-{gone}", "")):
        place.define(f"EnvironmentFile={written}", "ExecStart=/bin/sleep 60")
        fact = await place.launcher.binary(place.wanted)
        assert isinstance(fact, Known)
        assert fact.value.problem == problem


async def test_a_service_whose_own_way_to_stop_hangs_is_ended_all_the_same(
    place: ServicePlace,
) -> None:
    place.define(
        "ExecStart=/bin/sleep 60", "ExecStop=/bin/sleep infinity", "TimeoutStopSec=infinity"
    )
    await place.launcher.start(place.wanted, MARK)
    (unit,) = await place.ours()
    assert (await place.launcher.stop(unit, 0.1))["rungs"] == ["term", "kill"]
    assert await place.ours() == []


async def test_what_a_service_starts_in_another_control_group_is_its_unit(
    place: ServicePlace,
) -> None:
    place.define(SCOPED)
    await place.launcher.start(place.wanted, MARK)
    running.until(lambda: "run-" in place.systemctl("list-units", "--type=scope", "--plain"))
    (unit,) = await place.ours()
    assert len(unit.members) == 2
    place.systemctl("stop", "run-*.scope")
    await place.launcher.stop(unit, 5)


def inside_of(place: ServicePlace) -> ModelSpec:
    """Return the model of which the inventory says that its service makes a container."""
    kind = place.wanted.launcher.model_copy(update={"options": {"container": True}})
    return place.wanted.model_copy(update={"launcher": kind})


async def test_a_service_that_podman_writes_is_its_container_and_nothing_of_it_is_left(
    place: ServicePlace, tmp_path: Path
) -> None:
    """As `podman generate systemd --new` writes it: the container is made and removed with it."""
    podman = ServicePodman(place.booted, tmp_path)
    argv = [sys.executable, "-I", "-S", "-u", "-c", OBEDIENT + running.LISTENER]
    place.booted.define("gemma3.service", podman.unit("gemma3", argv, [f"{tmp_path}:/t", "/x"]))
    await place.launcher.start(place.wanted, MARK)
    (unit,) = await place.ours()
    assert (unit.leader, unit.runs(place.wanted)) == (True, True)
    assert "conmon" in unit.argv[0]
    told = await place.launcher.command(place.wanted)
    assert isinstance(told, Known)
    assert told.value.problem == (
        "gemma3.service runs a container (podman); write `container: true` beside its launcher"
    )
    inside = inside_of(place)
    told = await place.launcher.command(inside)
    assert isinstance(told, Known)
    assert (told.value.words, told.value.apart, told.value.problem) == ((*argv,), False, "")
    assert "/t" in told.value.reached
    assert "/x" not in told.value.reached
    engine = [pid for pid in unit.members if pid != unit.identity.pid]
    assert len(engine) == 1
    assert (await place.launcher.stop(unit, 5))["rungs"] == ["term"]
    assert await place.ours() == []
    assert podman("ps", "-aq") == ""
    assert await place.launcher.command(inside) == told


async def test_what_docker_run_waits_for_is_of_its_service_and_ends_with_it(
    place: ServicePlace, tmp_path: Path
) -> None:
    docker = ServiceDocker(place.booted, tmp_path)
    (tmp_path / "engine.py").write_text(running.LISTENER)
    mounts = [word for mount in (*PROGRAMS, f"{tmp_path}:/app") for word in ("-v", mount)]
    engine = [sys.executable, "-I", "-S", "-u", "/app/engine.py"]
    words = [*docker.client, "run", "--rm", *mounts, "--network=host", IMAGE, *engine]
    place.define("Environment=DOCKER_HOST=unix:///run/docker.sock", f"ExecStart={' '.join(words)}")
    await place.launcher.start(place.wanted, MARK)
    try:
        running.until(lambda: docker("ps", "-q") != "")
        (unit,) = await place.ours()
        name = docker("ps", "-q")
        (inside,) = docker("top", name, "-o", "pid").split()[1:]
        assert int(inside) in unit.members
        told = await place.launcher.command(inside_of(place))
        assert isinstance(told, Known)
        assert (told.value.words, "/app" in told.value.reached) == ((*engine,), True)
        # The first process of a container is ended by no TERM that it does not handle.
        assert (await place.launcher.stop(unit, 0.1))["rungs"] == ["term", "kill"]
        running.until(lambda: docker("ps", "-q") == "")
    finally:
        docker.kill()


def _shown(place: ServicePlace, *names: str) -> list[str]:
    asked = ("--value", f"--property={','.join(names)}")
    return sorted(place.systemctl("show", *asked, "gemma3.service").split(), reverse=True)
