"""What the launcher of LXC's containers promises beyond what every launcher does, on a real LXC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.drivers.launchers import lxc as lxc_launcher
from reconciler.errors import DriverError
from reconciler.model.facts import Known, Mark, Unknown
from reconciler.model.spec import Kind
from tests import running
from tests.contracts.places import LxcPlace, lxc_containers
from tests.rig import value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pydantic import JsonValue

    from tests.lxcs import Lxc

MARK = Mark(**running.mark("gemma3"))


@pytest.fixture
async def container(lxc: Lxc, tmp_path: Path) -> AsyncIterator[LxcPlace]:
    async with lxc_containers(lxc, tmp_path) as one:
        yield one


async def test_a_container_that_is_not_there_is_known_to_be_missing_and_cannot_be_started(
    container: LxcPlace,
) -> None:
    missing = f"there is no container {container.name} here"
    fact = await container.launcher.binary(container.wanted)
    assert isinstance(fact, Known)
    assert missing in str(fact.value.problem)
    with pytest.raises(DriverError, match=missing):
        await container.launcher.start(container.wanted, MARK)
    assert await container.ours() == []
    assert await lxc_launcher.Driver(container.access, []).units() == Known(())


async def test_a_container_with_a_network_of_its_own_is_not_started(container: LxcPlace) -> None:
    container.define(["/bin/sleep", "60"], lxc__net__0__type="empty")
    with pytest.raises(DriverError, match=r"on its own \(empty\); write `network: own`"):
        await container.launcher.start(container.wanted, MARK)
    assert await container.ours() == []


async def test_a_container_that_cannot_start_says_why(container: LxcPlace) -> None:
    container.define([], lxc__init__cmd="/nowhere/llama-server")
    with pytest.raises(DriverError, match='did not start: No such file.*"/nowhere/llama-server"'):
        await container.launcher.start(container.wanted, MARK)
    assert await container.ours() == []


async def test_a_container_that_lxc_cannot_read_and_one_without_a_systemd_hide_no_other(
    container: LxcPlace,
) -> None:
    names = {name: container.lxc.name(name) for name in ("broken", "bare")}
    for name in names.values():
        container.lxc.create(name, ["/bin/sleep", "60"], container.folder)
    broken = container.lxc.booted.path(container.lxc.file(names["broken"]))
    broken.write_text(f"{broken.read_text()}lxc.no.such = key\n")
    container.lxc.booted.run("lxc-start", "-n", names["bare"])
    options: list[dict[str, JsonValue]]
    options = [{"name": names["broken"]}, {"name": names["bare"], "service": "a.service"}]
    others = [
        container.wanted.model_copy(
            update={"name": f"m{at}", "launcher": Kind(kind="lxc", options=each)}
        )
        for at, each in enumerate(options)
    ]
    identity = await container.started(running.SLEEPER)
    driver = lxc_launcher.Driver(container.access, [container.wanted, *others])
    assert [unit.identity for unit in value(await driver.units())] == [identity]
    first, second = [value(await driver.binary(one)).problem for one in others]
    assert "Failed to load config" in first
    assert second.startswith(f"container {names['bare']} runs no systemd, and so not a.service")
    await container.stop(identity, 5)
    container.lxc.booted.run("lxc-stop", "-n", names["bare"], "-k")
    for name in names.values():
        container.lxc.booted.run("rm", "-r", f"/var/lib/lxc/{name}")


async def test_a_container_whose_network_is_said_in_a_file_that_it_includes_is_started(
    container: LxcPlace,
) -> None:
    container.lxc.booted.write("/run/network.conf", "lxc.net.0.type = none\n")
    settings = {"lxc__net__0__type": "veth", "lxc__include": "/run/network.conf"}
    container.define(["/bin/sleep", "60"], **settings)
    await container.launcher.start(container.wanted, MARK)
    (unit,) = await container.ours()
    await container.stop(unit.identity, 5)


async def test_a_container_that_was_started_again_is_another_unit(container: LxcPlace) -> None:
    first = await container.started(running.SLEEPER)
    container.lxc.booted.run("lxc-stop", "-n", container.name, "-k")
    assert await container.ours() == []
    container.lxc.booted.run("lxc-start", "-n", container.name)
    (second,) = await container.ours()
    assert second.identity.pid != first.pid
    assert (await container.stop(first, 5))["rungs"] == []
    assert [unit.identity for unit in await container.ours()] == [second.identity]
    await container.stop(second.identity, 5)


async def test_a_container_whose_file_is_newer_than_its_init_runs_another_definition(
    container: LxcPlace,
) -> None:
    await container.started(running.SLEEPER)
    (unit,) = await container.ours()
    assert unit.runs(container.wanted)
    container.lxc.booted.run("touch", container.lxc.file(container.name))
    (unit,) = await container.ours()
    assert not unit.runs(container.wanted)
    await container.stop(unit.identity, 5)


async def test_who_listens_in_a_container_is_ended_with_it(container: LxcPlace) -> None:
    """A kill by pid would be no advice: its keeper may start it again."""
    identity = await container.started(running.LISTENER)
    port = int((await container.said()).split()[1])
    told = await container.access.port(port)
    assert isinstance(told, Known)
    owner = told.value.owner
    assert owner is not None
    way_out = f"it is in a container of LXC ({container.name}), and `lxc-stop -n {container.name}`"
    assert owner.way_out(owner.user).startswith(way_out)
    await container.stop(identity, 5)


async def test_a_console_that_is_kept_nowhere_is_no_empty_log(container: LxcPlace) -> None:
    container.define(["/bin/sleep", "60"], lxc__console__logfile="")
    fact = await container.launcher.log("gemma3")
    assert isinstance(fact, Unknown)
    assert "name a file for it with lxc.console.logfile in" in fact.reason
