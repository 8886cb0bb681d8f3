"""A container that a service's `docker compose up` starts again is kept once that is ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.booted import booted_systemd
from tests.dockers import IMAGE, PROGRAMS, ROOT
from tests.needs import program
from tests.running import until
from tests.service_docker import SOCKET, ServiceDocker
from tests.service_stack import ServiceStack
from tests.stack import COMMAND_SECONDS, ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STACK = """[Service]
WorkingDirectory={folder}
Environment=DOCKER_HOST=unix://{socket}
ExecStart={program} up
Restart=always
RestartSec=100ms
[Install]
WantedBy=up.service
"""
ENDED = "systemctl disable --now stack.service"
AGAIN = "stack.service starts container llm_coder_1"


class ComposedStack(ServiceStack):
    """`reconciler` beside a service that runs `docker compose up` for one llama-server."""

    def compose(self) -> None:
        """Start the service, and wait until its container serves."""
        self.project = self.folder / "llm"
        self.project.mkdir()
        self.docker = ServiceDocker(self.booted, self.folder)
        coder = {
            "image": IMAGE,
            "network_mode": "host",
            "stop_grace_period": "1s",
            "entrypoint": [str(self.llama_server())],
            "command": ["-m", str(self.weights), "-c", "512", "--port", str(self.port)],
            "environment": {"PYTHONPATH": str(ROOT)},
            "volumes": [*PROGRAMS, f"{self.folder}:{self.folder}"],
        }
        file = {"version": "2.4", "services": {"coder": coder}}
        (self.project / "docker-compose.yml").write_text(json.dumps(file))
        self.composer = program("docker-compose")
        text = STACK.format(folder=self.project, socket=SOCKET, program=self.composer)
        self.booted.define("stack.service", text)
        self.booted.run("systemctl", "enable", "--runtime", "stack.service")
        self.booted.run("systemctl", "start", "stack.service")
        until(self.listens, COMMAND_SECONDS)

    def container(self) -> str:
        """Return the id of the container that runs, "" without one."""
        return self.docker("ps", "-q")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[ComposedStack]:
    with booted_systemd() as booted:
        made = ComposedStack(tmp_path, booted)
        with ending(made):
            yield made


def test_the_service_is_named_and_without_it_the_container_is_a_model_also_when_made_anew(
    here: ComposedStack,
) -> None:
    here.compose()
    (step,) = here.begin()["steps"]
    assert step["command"] == ENDED
    inventory = (here.folder / "state" / "inventory.yaml").read_text()
    file = here.project / "docker-compose.yml"
    assert f"{{kind: compose, project: llm, service: coder, file: {file}}}" in inventory
    assert f"do: `{ENDED}`" in here.run("doctor").stdout
    desired = (here.folder / "state" / "desired.yaml").read_text()
    here.desired("version: 1\nactive: []\n")
    assert f"{AGAIN} again once it is stopped; `{ENDED}`" in " ".join(
        here.run("plan").stdout.split()
    )
    here.desired(desired)
    # So it does.
    here.docker("stop", "llm_coder_1")
    until(lambda: here.container() != "", COMMAND_SECONDS)

    here.booted.run(*ENDED.split())
    assert here.container() == ""
    here.apply()
    before = here.container()
    assert here.booted.shows("stack.service", "ActiveState") == "inactive"
    assert AGAIN not in here.run("doctor").stdout
    anew = [here.composer, "-f", str(file), "up", "-d", "--force-recreate"]
    here.booted.run("env", f"DOCKER_HOST=unix://{SOCKET}", *anew)
    assert here.container() not in {"", before}
    until(lambda: here.run("plan", "--detailed-exitcode").returncode == 0, COMMAND_SECONDS)
