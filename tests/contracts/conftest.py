"""What the contract suites of all that works through an access have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from reconciler.ports import Access
from tests.booted import Booted, booted_systemd
from tests.contracts.hosts import WAYS, reached
from tests.dockers import Dockerd, podman

SUPERVISOR = """
[Service]
Type=notify
Slice=user-%i.slice
Delegate=yes
RuntimeDirectory=user/%i
Environment=XDG_RUNTIME_DIR=/run/user/%i
ExecStart=/lib/systemd/systemd --user
"""
"""What starts the systemd of a user where logind does not."""


@pytest.fixture(params=WAYS)
async def access(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Access]:
    async with reached(request.param, tmp_path) as driver:
        yield driver


@pytest.fixture(scope="module", name="podman")
def its_service() -> Iterator[Dockerd]:
    with podman() as one:
        yield one


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
    with booted_systemd() as one:
        one.define("user@.service", SUPERVISOR)
        one.run("systemctl", "start", "user@0.service")
        yield one
