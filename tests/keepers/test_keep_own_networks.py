"""Containers in networks of their own are imported by the way in which they are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dockers import Dockerd, dockerd
from tests.engine import free_port
from tests.keeping import Keeping
from tests.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def docker() -> Iterator[Dockerd]:
    with dockerd(BRIDGED="1") as one:
        yield one


@pytest.fixture
def here(docker: Dockerd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeping]:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker.socket}")
    yield Keeping(tmp_path, docker, free_port())
    docker.remove("gemma")


@pytest.mark.parametrize("is_published", [True, False])
def test_a_container_of_a_bridge_is_imported_and_the_plan_is_empty(
    here: Keeping, *, is_published: bool
) -> None:
    bound = {f"{here.port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(free_port())}]}
    here.serve(
        "--host", "0.0.0.0", NetworkMode="bridge",  # noqa: S104 - of the container alone
        PortBindings=bound if is_published else {},
    )  # fmt: skip
    imported = here.command("import", "docker", "stack")
    assert imported.returncode == 0, imported.stdout + imported.stderr
    inventory = (here.folder / "stack" / "inventory.yaml").read_text()
    assert ("network: own" in inventory) is not is_published
    assert "active: gemma" in (here.folder / "stack" / "desired.yaml").read_text()
    until(lambda: here.run("plan", "--detailed-exitcode").returncode == 0)
    assert "model gemma                ready" in here.run("status").stdout
