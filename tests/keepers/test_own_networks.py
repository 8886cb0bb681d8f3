"""Models that are containers in networks of their own, to which no port of the host leads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import sshd
from tests.container_stack import ContainerStack
from tests.dockers import Dockerd, dockerd
from tests.running import until
from tests.stack import COMMAND_SECONDS, ending

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@pytest.fixture(scope="module")
def docker() -> Iterator[Dockerd]:
    with dockerd(BRIDGED="1") as one:
        yield one


class Apart(ContainerStack):
    """tiny-a and tiny-b are containers that listen on the same port, each in its own network."""

    def __init__(self, folder: Path, docker: Dockerd, access: str = "local") -> None:
        super().__init__(folder, docker)
        weights = next(folder.glob("*.gguf"))
        engine = f"{{kind: embedded, weights: {weights}}}"
        launcher = f"{{kind: docker, container: NAME, socket: {docker.socket}, network: own}}"
        model = f"{{engine: {engine}, launcher: {launcher}, port: {self.port}, stable_for: 200ms}}"
        lines = [
            "version: 1",
            f"hosts: {{box: {{access: {access}}}}}",
            "models:",
            f"  tiny-a: {model.replace('NAME', 'first')}",
            f"  tiny-b: {model.replace('NAME', 'tiny')}",
        ]
        (folder / "state" / "inventory.yaml").write_text("\n".join([*lines, ""]))
        (folder / "slots" / "first").mkdir()
        self.listening({"127.0.0.1": "0.0.0.0"})  # noqa: S104

    def listening(self, words: Mapping[str, str]) -> None:
        argv = [words.get(word, word) for word in self.given]
        for name, called in (("first", "first"), ("tiny", "another-name")):
            named = [word.replace("another-name", called) for word in argv]
            self.dockerd.create(name, named, self.folder, NetworkMode="bridge")

    def address(self, name: str) -> str:
        seen = self.dockerd.ask("GET", f"/containers/{name}/json")
        address: str = seen["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        return address


@pytest.fixture(params=["local", "ssh"])
def here(request: pytest.FixtureRequest, docker: Dockerd, tmp_path: Path) -> Iterator[Apart]:
    with sshd.running() as served:
        over = {"kind": "ssh", **served.options(tmp_path / "there")}
        access = json.dumps(over) if request.param == "ssh" else "local"
        made = Apart(tmp_path, docker, access)
        with ending(made):
            yield made
    docker.remove("first")
    docker.remove("tiny")


def test_two_containers_may_listen_on_one_port_and_keep_their_conversations(here: Apart) -> None:
    here.desire("[tiny-a, tiny-b]")
    here.apply()
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    assert f"docker/tiny:{here.port}" in here.run("status").stdout
    said = here.talk(here.address("tiny"))
    assert said["prompt_n"] > 1
    here.desire("tiny-a")
    here.apply()
    assert here.pid() == 0
    here.desire("[tiny-a, tiny-b]")
    here.apply()
    assert here.talk(here.address("tiny"))["prompt_n"] == 1, "its conversation came back"


def test_what_listens_on_its_own_loopback_is_told_to_listen_elsewhere(here: Apart) -> None:
    here.listening({})
    here.desire("tiny-b")
    assert "it listens on the loopback of its own network; make container tiny again with" in (
        here.apply(4).stdout
    )
    here.dockerd.ask("POST", "/containers/tiny/start")
    said = "listens on the loopback of its own network; give it `--host 0.0.0.0`"
    until(lambda: said in here.run("status", "-o", "json").stdout, COMMAND_SECONDS)
