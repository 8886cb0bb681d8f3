"""A model that is a container in a network of its own, by a port of the host that leads there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.container_stack import ContainerStack
from tests.dockers import Dockerd, dockerd
from tests.engine import free_port
from tests.stack import ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSIDE = "9000"


@pytest.fixture(scope="module")
def docker() -> Iterator[Dockerd]:
    with dockerd(BRIDGED="1") as one:
        yield one


class Published(ContainerStack):
    """A container that listens on a port of its own, to which the model's port leads."""

    def publish(self, port: int, *, name: str = "tiny") -> None:
        words = {"127.0.0.1": "0.0.0.0", str(self.port): INSIDE}  # noqa: S104
        argv = [words.get(word, word) for word in self.given]
        bound = {f"{INSIDE}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
        settings: dict[str, Any] = {"NetworkMode": "bridge", "PortBindings": bound}
        self.dockerd.create(name, argv, self.folder, **settings)


@pytest.fixture
def here(docker: Dockerd, tmp_path: Path) -> Iterator[Published]:
    made = Published(tmp_path, docker)
    made.publish(made.port)
    with ending(made):
        yield made
    docker.remove("tiny")
    docker.remove("other")


def test_a_container_behind_a_published_port_keeps_its_conversation(here: Published) -> None:
    here.apply()
    here.desire("tiny-b")
    here.apply()
    assert here.engines() == {}
    assert here.talk()["prompt_n"] > 1
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    here.desire("tiny-a")
    here.apply()
    assert (here.pid(), [*here.engines()]) == (0, ["tiny-a"])
    here.desire("tiny-b")
    here.apply()
    assert here.talk()["prompt_n"] == 1, "its conversation came back"


def test_a_port_that_is_not_published_refuses_the_plan(here: Published) -> None:
    here.apply()
    port = free_port()
    here.publish(port)
    here.desire("tiny-b")
    assert (
        f"container tiny publishes no port {here.port} on the host's loopback, but {port}"
        in here.apply(4).stdout
    )
    here.dockerd.create("tiny", here.given, here.folder, NetworkMode="bridge")
    assert "tiny has its own network, and publishes no port" in here.apply(4).stdout
    assert [*here.engines()] == ["tiny-a"]


def test_a_port_that_another_container_publishes_refuses_the_plan(here: Published) -> None:
    here.publish(here.port, name="other")
    here.dockerd.ask("POST", "/containers/other/start")
    here.desire("tiny-b")
    assert f"port {here.port} is held by docker-proxy" in here.apply(4).stdout
    assert here.pid() == 0
