"""What the launcher of Proxmox VE's containers promises beyond what that of LXC's does.

On a stand-in for `pct` that starts and ends containers of a real LXC.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from reconciler.errors import DriverError
from reconciler.model.facts import Known, Mark
from tests import running
from tests.contracts.places import LxcPlace, lxc_containers
from tests.rig import value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.pcts import Pct

MARK = Mark(**running.mark("gemma3"))


@pytest.fixture
async def container(pct: Pct, tmp_path: Path) -> AsyncIterator[LxcPlace]:
    async with lxc_containers(pct, tmp_path) as one:
        yield one
    pct.unmanage()


async def test_a_container_that_is_locked_is_neither_started_nor_ended(
    container: LxcPlace, pct: Pct
) -> None:
    locked = (
        f"CT {container.name} is locked \\(backup\\); wait for it, or `pct unlock {container.name}`"
    )
    identity = await container.started(running.SLEEPER)
    pct.add(container.name, "lock: backup\n")
    with pytest.raises(DriverError, match=locked):
        await container.stop(identity, 0.1)
    (unit,) = await container.ours()
    assert re.fullmatch(locked, unit.locked)
    assert unit.runs(container.wanted), "a lock is no other definition"
    pct.booted.run("lxc-stop", "-n", container.name, "-k")
    fact = await container.launcher.binary(container.wanted)
    assert isinstance(fact, Known)
    assert "is locked (backup)" in str(fact.value.problem)
    with pytest.raises(DriverError, match=locked):
        await container.launcher.start(container.wanted, MARK)
    assert await container.ours() == []


async def test_a_container_that_is_started_at_boot_is_told_with_what_ends_that(
    container: LxcPlace, pct: Pct
) -> None:
    identity = await container.started(running.SLEEPER)
    assert value(await container.launcher.binary(container.wanted)).autostart == ""
    pct.add(container.name, "onboot: 1\n")
    assert value(await container.launcher.binary(container.wanted)).autostart == (
        f"CT {container.name} is started at boot; `pct set {container.name} --onboot 0`"
    )
    await container.stop(identity, 5)


async def test_a_template_is_not_started(container: LxcPlace, pct: Pct) -> None:
    container.model(running.SLEEPER)
    pct.add(container.name, "template: 1\n")
    said = f"CT {container.name} is a template; `pct clone {container.name}` makes a CT of it"
    assert value(await container.launcher.binary(container.wanted)).problem == said
    with pytest.raises(DriverError, match="is a template"):
        await container.launcher.start(container.wanted, MARK)


async def test_what_the_cluster_is_asked_for_is_waited_for(container: LxcPlace, pct: Pct) -> None:
    pct.manage(container.name)
    identity = await container.started(running.SLEEPER)
    assert [unit.identity for unit in await container.ours()] == [identity]
    assert (await container.stop(identity, 5))["rungs"] == ["term"]
    assert await container.ours() == []


async def test_what_waits_for_the_next_start_is_another_definition(
    container: LxcPlace, pct: Pct
) -> None:
    identity = await container.started(running.SLEEPER)
    path = pct.booted.path(pct.file(container.name))
    path.write_text(path.read_text() + "[pve:pending]\nmemory: 2048\n[before]\nmemory: 1024\n")
    (unit,) = await container.ours()
    assert not unit.runs(container.wanted)
    await container.stop(identity, 5)
    await container.launcher.start(container.wanted, MARK)
    (unit,) = await container.ours()
    assert unit.runs(container.wanted)
    await container.stop(unit.identity, 5)


async def test_a_container_that_cannot_start_says_so_in_the_words_of_its_keeper(
    container: LxcPlace,
) -> None:
    missing = f"there is no CT {container.name} here"
    with pytest.raises(DriverError, match=missing):
        await container.launcher.start(container.wanted, MARK)
    container.define([], lxc__init__cmd="/nowhere/llama-server")
    with pytest.raises(DriverError, match=f"startup for container '{container.name}' failed"):
        await container.launcher.start(container.wanted, MARK)
    assert await container.ours() == []


async def test_who_listens_in_a_container_is_ended_with_it(container: LxcPlace) -> None:
    identity = await container.started(running.LISTENER)
    told = await container.access.port(int((await container.said()).split()[1]))
    assert isinstance(told, Known)
    assert told.value.owner is not None
    way_out = f"it is in a container of Proxmox VE ({container.name}), and `pct shutdown"
    assert told.value.owner.remedy.startswith(way_out)
    await container.stop(identity, 5)
