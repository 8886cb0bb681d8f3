"""What every launcher promises, over each access to a host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from reconciler.core.attribution import owners_named
from reconciler.drivers.launchers import systemd
from reconciler.errors import DriverError
from reconciler.model.facts import Known, Mark, UnitIdentity
from reconciler.model.log import LogPart
from reconciler.model.observed import PORT, UNIT, Observed
from reconciler.model.port import PortState
from reconciler.model.spec import Kind
from tests import running
from tests.booted import Booted
from tests.contracts.hosts import WAYS
from tests.contracts.places import (
    DOCKER,
    INNER,
    INTERPRETER,
    LXC,
    OWNED,
    OWNED_CONTAINERS,
    SCOPES,
    ContainerPlace,
    InnerPlace,
    LxcPlace,
    Place,
    ServicePlace,
    held,
    model,
    placed,
    services,
)
from tests.rig import units_of, value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

MARK = Mark(**running.mark("gemma3"))
TALKER = "import signal; print('{}'); print('ready', flush=True); signal.pause()"


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


@pytest.fixture(params=WAYS)
async def processes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with placed(request.param, request.getfixturevalue, tmp_path) as one:
        yield one


@pytest.fixture(params=SCOPES)
async def service(
    request: pytest.FixtureRequest, booted: Booted, tmp_path: Path
) -> AsyncIterator[ServicePlace]:
    async with services(request.param, booted, tmp_path) as one:
        yield one


@pytest.fixture(params=[*WAYS, *SCOPES, *OWNED, *DOCKER, *OWNED_CONTAINERS, *LXC, INNER, "compose"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with placed(request.param, request.getfixturevalue, tmp_path) as one:
        yield one


async def test_a_started_unit_is_seen_as_its_models_and_gone_after_a_stop(place: Place) -> None:
    assert await place.ours() == []
    identity = await place.started(running.FAMILY)
    (unit,) = await place.ours()
    assert unit.identity == identity
    assert unit.mark == Mark(
        controller=place.controller, model="gemma3", digest="v1:sha256:00000000", port=8080
    )
    assert len(unit.members) == 5
    assert unit.leader
    evidence = await place.stop(identity, 5)
    assert evidence["gone"] is True
    assert await place.ours() == []
    assert (await place.stop(identity, 5))["rungs"] == []


async def test_a_stop_of_what_was_started_again_touches_nothing(place: Place) -> None:
    first = await place.started(running.SLEEPER)
    await place.stop(first, 5)
    second = await place.started(running.SLEEPER)
    evidence = await place.stop(first, 5)
    assert (evidence["gone"], evidence["rungs"]) == (True, [])
    assert [unit.identity for unit in await place.ours()] == [second]
    await place.stop(second, 5)


async def test_a_unit_that_does_not_obey_is_ended_all_the_same(place: Place) -> None:
    identity = await place.started(running.STUBBORN)
    evidence = await place.stop(identity, 0.1)
    assert str(evidence["rungs"]).endswith("'kill']")
    assert await place.ours() == []


async def test_the_owner_of_a_port_is_its_unit_then_none(place: Place) -> None:
    identity = await place.started(running.LISTENER)
    port = int((await place.said()).split()[1])
    (unit,) = await place.ours()
    told = await place.access.port(port)
    assert isinstance(told, Known)
    key = PORT("box", port)
    seen = owners_named(Observed({UNIT("box", "gemma3"): Known(unit), key: told}), [key]).value(key)
    assert seen is not None
    assert seen.owner is not None
    assert (seen.owner.pid, seen.owner.model) == (identity.pid, "gemma3")
    await place.stop(identity, 5)
    assert await place.access.port(port) == Known(PortState())


async def test_the_log_is_what_the_unit_wrote_last(place: Place) -> None:
    if isinstance(place, ServicePlace | InnerPlace):
        place.define("ExecStart=/bin/true")
    elif isinstance(place, ContainerPlace | LxcPlace):
        place.define(["/bin/true"])
    assert await place.launcher.log("gemma3") == Known(LogPart())
    for word in ("x", "y"):
        identity = await place.started(TALKER.format(word))
        whole, last = (
            await place.launcher.log("gemma3"),
            await place.launcher.log("gemma3", lines=1),
        )
        assert isinstance(whole, Known)
        assert whole.value.lines == (word, "ready")
        assert last == Known(LogPart(lines=("ready",), end=whole.value.end))
        await place.stop(identity, 5)


async def test_a_log_is_followed_from_its_end_into_the_next_start(place: Place) -> None:
    first = await place.started(TALKER.format("x"))
    seen = await place.launcher.log("gemma3", lines=1)
    assert isinstance(seen, Known)
    assert await place.launcher.log("gemma3", after=seen.value.end) == Known(
        LogPart(end=seen.value.end)
    )
    await place.stop(first, 5)
    second = await place.started(TALKER.format("y"))
    more = await place.launcher.log("gemma3", after=seen.value.end)
    assert isinstance(more, Known)
    assert more.value.lines == ("y", "ready")
    await place.stop(second, 5)


async def test_a_unit_has_its_folders_before_it_starts(processes: Place, tmp_path: Path) -> None:
    await processes.started(running.SLEEPER)
    assert (tmp_path / "models/gemma3/slots").is_dir()


async def test_a_program_that_cannot_start_is_an_error_and_no_unit(processes: Place) -> None:
    with pytest.raises(DriverError, match="cannot start /nowhere/llama-server"):
        await processes.launcher.start(model("/nowhere/llama-server"), MARK)
    assert await processes.ours() == []


async def test_a_relative_program_is_the_models_own(processes: Place, tmp_path: Path) -> None:
    own = tmp_path / "models/gemma3/engine"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\necho ready\nexec sleep 60\n")
    own.chmod(0o755)
    wanted = model("./engine")
    fact = await processes.launcher.binary(wanted)
    assert isinstance(fact, Known)
    assert (fact.value.path, fact.value.problem) == (str(own), "")
    await processes.launcher.start(wanted, MARK)
    running.wait_for_line(tmp_path / "models/gemma3/log")


def problem(fact: object) -> str:
    assert isinstance(fact, Known)
    return str(fact.value.problem)


async def test_a_service_that_is_not_there_is_known_to_be_missing_and_cannot_be_started(
    service: ServicePlace,
) -> None:
    wanted = service._model
    assert "there is no service gemma3.service" in problem(await service.launcher.binary(wanted))
    with pytest.raises(DriverError, match=r"write it, or name another with unit:"):
        await service.launcher.start(wanted, MARK)
    assert await service.ours() == []


async def test_a_service_whose_program_is_missing_says_so(service: ServicePlace) -> None:
    service.define("ExecStart=/nowhere/llama-server")
    assert (
        problem(await service.launcher.binary(service._model))
        == "there is no program /nowhere/llama-server, which gemma3.service runs"
    )


async def test_a_file_that_systemd_has_not_read_yet_is_not_started(service: ServicePlace) -> None:
    identity = await service.started(running.SLEEPER)
    assert problem(await service.launcher.binary(service._model)) == ""
    service.booted.write(f"{service._units}/gemma3.service", "[Service]\nExecStart=/bin/true\n")
    assert "daemon-reload`" in problem(await service.launcher.binary(service._model))
    await service.stop(identity, 5)


async def test_a_service_that_fails_before_its_program_runs_did_not_start(
    service: ServicePlace,
) -> None:
    service.define("ExecStartPre=/bin/false", "ExecStart=/bin/sleep 60")
    for _ in range(7):  # more often than systemd would try by itself
        with pytest.raises(
            DriverError,
            match=(
                r"gemma3\.service did not start: its ExecStartPre= ended with status 1; `systemctl"
                r" .*status gemma3\.service`"
            ),
        ):
            await service.launcher.start(service._model, MARK)
    assert await service.ours() == []


async def test_a_service_that_still_waits_for_what_it_runs_before_its_program_is_a_unit_on_its_way(
    service: ServicePlace,
) -> None:
    service.define("ExecStartPre=/bin/sleep 60", "ExecStart=/bin/sleep 60")
    service.systemctl("start", "--no-block", "gemma3.service")
    with anyio.fail_after(running.DEADLINE):
        while not (seen := await service.ours()):
            pass
    (unit,) = seen
    assert (unit.leader, unit.identity.pid, unit.uptime, unit.ended) == (True, 0, 0.0, "")
    assert (await service.launcher.stop(unit, 5))["rungs"] == ["term"]
    assert await service.ours() == []


async def test_an_instance_of_a_template_is_started_seen_and_ended_and_no_other_of_it(
    service: ServicePlace,
) -> None:
    service.define("ExecStart=/bin/sleep 60%i", name="sleep@.service")
    options = [
        {**service._model.launcher.options, "unit": f"sleep@{number}.service"} for number in (1, 2)
    ]
    one, other = (
        service._model.model_copy(
            update={"name": f"m{number}", "launcher": Kind(kind="systemd", options=each)}
        )
        for number, each in enumerate(options)
    )
    driver = systemd.Driver(service.access, [one, other])
    first, second = [
        UnitIdentity.model_validate((await driver.start(model, MARK))["identity"])
        for model in (one, other)
    ]
    await driver.stop(held(one, first), 5)
    seen = units_of(await driver.units())
    assert [(unit.mark.model, unit.identity, unit.argv[1:]) for unit in seen] == [
        ("m1", second, ("602",))
    ]
    await driver.stop(held(other, second), 5)


async def test_a_service_that_waits_to_be_restarted_is_a_unit_without_a_leader_and_can_be_stopped(
    service: ServicePlace,
) -> None:
    wanted = service.model("raise SystemExit(7)")
    file = service.booted.path(f"{service._units}/gemma3.service")
    service.define(*file.read_text().splitlines()[1:], "Restart=always", "RestartSec=1h")
    service.systemctl("start", "gemma3.service")
    with anyio.fail_after(running.DEADLINE):
        while True:
            (unit,) = await service.ours()
            if not unit.leader:
                break
    assert (unit.identity.pid, unit.members) == (0, ())
    assert (await service.launcher.stop(unit, 5))["rungs"] == ["term"]
    assert await service.ours() == []
    assert problem(await service.launcher.binary(wanted)) == ""


async def test_a_service_that_systemd_started_again_is_another_unit(service: ServicePlace) -> None:
    service.model(running.SLEEPER)
    file = service.booted.path(f"{service._units}/gemma3.service")
    service.define(*file.read_text().splitlines()[1:], "Restart=always", "RestartSec=0")
    service.systemctl("start", "gemma3.service")
    (first,) = await service.ours()
    service.systemctl("kill", "--signal=KILL", "gemma3.service")
    with anyio.fail_after(running.DEADLINE):
        while True:
            seen = await service.ours()
            if seen and seen[0].identity.pid and seen[0].identity != first.identity:
                break
    (second,) = seen
    assert (first.restarts, second.restarts) == (0, 1)
    assert (await service.stop(first.identity, 5))["rungs"] == []
    assert (await service.stop(second.identity, 5))["rungs"] == ["term"]


async def test_what_a_service_leaves_behind_is_its_unit_and_is_ended(service: ServicePlace) -> None:
    service.model(running.FAMILY)
    file = service.booted.path(f"{service._units}/gemma3.service")
    service.define(*file.read_text().splitlines()[1:], "KillMode=process")
    service.systemctl("start", "gemma3.service")
    await service.said()
    service.systemctl("stop", "gemma3.service")
    (left,) = await service.ours()
    assert (left.leader, len(left.members)) == (False, 4)
    assert (await service.launcher.stop(left, 0.1))["rungs"] == ["term", "kill"]
    assert await service.ours() == []


async def test_a_service_whose_file_is_newer_than_its_process_runs_another_definition(
    booted: Booted, tmp_path: Path
) -> None:
    async with services("system", booted, tmp_path) as service:
        await service.started(running.SLEEPER)
        # Under /run are files that something rewrites all the time, so an operator's lies
        # elsewhere.
        generated = booted.path("/run/systemd/system/gemma3.service")
        booted.write("/var/lib/gemma3.service", generated.read_text())
        service.systemctl("daemon-reload")
        assert [one.mark.digest for one in await service.ours()] == [service._model.digest]
        generated.unlink()
        generated.symlink_to("/var/lib/gemma3.service")
        service.systemctl("daemon-reload")
        (unit,) = await service.ours()
        assert unit.mark.digest.startswith("v1:sha256:")
        assert unit.mark.digest != service._model.digest
        await service.launcher.stop(unit, 5)


async def test_what_runs_is_told_word_by_word(service: ServicePlace) -> None:
    await service.started(running.SLEEPER)
    (unit,) = await service.ours()
    assert unit.argv == (INTERPRETER, "-I", "-S", "-u", "/run/programs/gemma3.py")
    assert unit.launcher == service._model.launcher
    await service.launcher.stop(unit, 5)


async def test_two_models_of_one_service_are_told_apart_by_nobody_and_hide_no_third(
    service: ServicePlace,
) -> None:
    identity = await service.started(running.SLEEPER)
    mine = service._model
    named = mine.launcher.model_copy(
        update={"options": {**mine.launcher.options, "unit": "gemma3.service"}}
    )
    other = mine.model_copy(update={"name": "gemma3-long", "launcher": named})
    away = Kind(kind="systemd", options={**mine.launcher.options, "unit": "third.service"})
    third = mine.model_copy(update={"name": "third", "launcher": away})
    held_ = value(await systemd.Driver(service.access, [mine, third, other]).units())
    assert [one.model for one in held_] == ["gemma3", "gemma3-long"]
    for one in held_:
        assert "gemma3 and gemma3-long are both the service gemma3.service" in one.reason
    await service.stop(identity, 5)


async def test_a_service_that_only_a_former_definition_names_is_its_models_until_it_is_stopped(
    service: ServicePlace,
) -> None:
    await service.started(running.SLEEPER)
    before = service._model
    options = {**before.launcher.options, "unit": "another.service"}
    moved = before.model_copy(update={"launcher": Kind(kind="systemd", options=options)})
    driver = systemd.Driver(service.access, [moved])
    assert await driver.units() == Known(())
    (unit,) = units_of(await driver.units([before]))
    (orphan,) = units_of(await systemd.Driver(service.access, []).units([before]))
    assert orphan.identity == unit.identity
    assert (unit.mark.model, unit.launcher) == ("gemma3", before.launcher)
    assert unit.mark.digest.startswith("v1:sha256:")
    assert not unit.runs(before)
    assert (await driver.stop(unit, 5))["rungs"] == ["term"]
    assert await driver.units([before]) == Known(())


async def test_a_service_that_another_model_names_now_is_that_ones(service: ServicePlace) -> None:
    identity = await service.started(running.SLEEPER)
    before = service._model
    named = {**before.launcher.options, "unit": "gemma3.service"}
    heir = before.model_copy(
        update={"name": "gemma4", "launcher": Kind(kind="systemd", options=named)}
    )
    seen = units_of(await systemd.Driver(service.access, [heir]).units([before]))
    assert [(unit.mark.model, unit.runs(heir)) for unit in seen] == [("gemma4", True)]
    await service.stop(identity, 5)
