"""What the launcher of LXC promises of a service in a container that boots a real systemd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.drivers.launchers import lxc as lxc_launcher
from reconciler.errors import DriverError
from reconciler.model.facts import Known, Mark
from reconciler.model.given_command import GivenCommand
from reconciler.model.spec import Kind
from tests import running
from tests.contracts.places import INTERPRETER, InnerPlace, inner_services
from tests.rig import value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.lxcs import Lxc

MARK = Mark(**running.mark("gemma3"))


@pytest.fixture
async def service(lxc: Lxc, tmp_path: Path) -> AsyncIterator[InnerPlace]:
    async with inner_services(lxc, tmp_path) as one:
        yield one


async def command(service: InnerPlace) -> GivenCommand:
    launcher: Any = service.launcher
    fact = await launcher.command(service.wanted)
    assert isinstance(fact, Known)
    found: GivenCommand = fact.value
    return found


async def test_a_container_is_started_for_its_service_and_stays_up_without_it(
    service: InnerPlace,
) -> None:
    assert service.lxc.pid(service.name) == 0
    assert "has stopped, and its services are not seen" in (await command(service)).problem
    identity = await service.started(running.SLEEPER)
    init = service.lxc.pid(service.name)
    assert identity.pid not in (0, init)
    assert (await command(service)).words[0] == INTERPRETER
    await service.stop(identity, 5)
    assert service.lxc.pid(service.name) == init
    assert await service.ours() == []
    assert (await command(service)).words == (INTERPRETER, "-I", "-S", "-u", "/units/gemma3.py")


async def test_what_a_container_that_is_frozen_runs_is_not_known_and_hides_no_other(
    service: InnerPlace,
) -> None:
    identity = await service.started(running.SLEEPER)
    whole = service.wanted.model_copy(
        update={"name": "whole", "launcher": Kind(kind="lxc", options={"name": service.name})}
    )
    service.lxc.booted.run("lxc-freeze", "-n", service.name)
    held = value(await lxc_launcher.Driver(service.access, [service.wanted, whole]).units())
    service.lxc.booted.run("lxc-unfreeze", "-n", service.name)
    unseen, seen = held
    said = f"{service.name} is frozen; `lxc-unfreeze -n {service.name}` lets it go on"
    assert (unseen.model, unseen.launcher) == ("gemma3", service.wanted.launcher)
    assert said in unseen.reason
    assert (seen.mark.model, seen.identity.pid) == ("whole", service.lxc.pid(service.name))
    await service.stop(identity, 5)


async def test_a_service_ends_with_its_container(service: InnerPlace) -> None:
    identity = await service.started(running.SLEEPER)
    service.lxc.booted.run("lxc-stop", "-n", service.name, "-k")
    assert await service.ours() == []
    assert (await service.stop(identity, 5))["rungs"] == []


async def test_a_service_that_is_not_in_its_container_cannot_be_started(
    service: InnerPlace,
) -> None:
    missing = f"there is no service gemma3.service in container {service.name}'s systemd"
    with pytest.raises(DriverError, match=missing):
        await service.launcher.start(service.wanted, MARK)
    fact = await service.launcher.binary(service.wanted)
    assert isinstance(fact, Known)
    assert missing in str(fact.value.problem)


async def test_a_service_whose_file_is_newer_than_its_process_runs_another_definition(
    service: InnerPlace,
) -> None:
    identity = await service.started(running.SLEEPER)
    (unit,) = await service.ours()
    assert unit.runs(service.wanted)
    service.model(running.SLEEPER)
    (unit,) = await service.ours()
    assert not unit.runs(service.wanted)
    await service.stop(identity, 5)
