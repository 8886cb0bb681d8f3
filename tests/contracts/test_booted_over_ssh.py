"""Launchers of a booted host that is reached over ssh: services, and containers of LXC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.drivers.access import ssh
from reconciler.drivers.access.shared.place import HostPlace
from reconciler.edge.loop_scope import LoopScope
from reconciler.model.facts import Known
from tests import running, sshd
from tests.contracts.places import LXC, LxcPlace, Place, ServicePlace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from reconciler.ports import Access
    from tests.booted import Booted
    from tests.sshd import Settings

SERVICE = "service"


@pytest.fixture(scope="module")
def daemon(booted: Booted) -> Iterator[Settings]:
    with sshd.settings() as told:
        lines = ("[Service]", "RuntimeDirectory=sshd", f"ExecStart={' '.join(told.argv)}", "")
        booted.define("sshd.service", "\n".join(lines))
        booted.run("systemctl", "start", "sshd.service")
        running.until(told.listens)
        yield told
        booted.run("systemctl", "stop", "sshd.service")


@pytest.fixture
async def access(daemon: Settings, tmp_path: Path) -> AsyncIterator[Access]:
    async with LoopScope() as loop:
        options = ssh.Options(**daemon.options(tmp_path / "host"))
        yield ssh.Driver(options, HostPlace("box", "/nowhere", loop))


@pytest.fixture(params=[SERVICE, *LXC])
def place(request: pytest.FixtureRequest, access: Access, tmp_path: Path) -> Iterator[Place]:
    if request.param == SERVICE:
        yield ServicePlace(access, request.getfixturevalue("booted"), "system")
        return
    made = LxcPlace(access, request.getfixturevalue(request.param), tmp_path)
    yield made
    made.lxc.remove(made.name)


async def test_what_is_started_there_is_seen_speaks_and_is_gone_after_a_stop(place: Place) -> None:
    identity = await place.started(running.LISTENER)
    port = int((await place.said()).split()[1])
    (unit,) = await place.ours()
    assert unit.identity == identity
    told = await place.access.port(port)
    assert isinstance(told, Known)
    assert told.value.owner is not None
    assert told.value.owner.pid in unit.members
    assert (await place.stop(identity, 5))["gone"] is True
    assert await place.ours() == []
