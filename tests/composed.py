"""A compose project for tests, beside a dockerd: one file with one service."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from tests.dockers import IMAGE, PROGRAMS, ROOT
from tests.needs import program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.dockers import Dockerd

PROJECT = "llm"


class Project:
    """A project whose file is in a folder, and whose service is on the host's network."""

    def __init__(self, dockerd: Dockerd, folder: Path, service: str) -> None:
        self.dockerd, self.folder, self.service = dockerd, folder, service
        self.file = folder / "compose.yaml"
        self.program = program("docker-compose")

    def define(self, argv: Sequence[str], **settings: Any) -> None:
        """Write the file; a setting that is None is left out."""
        # Such a file replaces what looks like a variable; and JSON is YAML.
        one = {
            "image": IMAGE,
            "network_mode": "host",
            "entrypoint": [word.replace("$", "$$") for word in argv],
            "working_dir": str(self.folder),
            "environment": {"PYTHONPATH": str(ROOT)},
            "volumes": [*PROGRAMS, f"{self.folder}:{self.folder}"],
            **settings,
        }
        told = {key: value for key, value in one.items() if value is not None}
        self.file.write_text(json.dumps({"version": "2.4", "services": {self.service: told}}))

    def run(self, *words: str) -> str:
        """Run the compose program as a person would, and return what it said."""
        done = subprocess.run(
            [self.program, "-p", PROJECT, "-f", str(self.file), *words],
            env={**os.environ, "DOCKER_HOST": f"unix://{self.dockerd.socket}"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def containers(self) -> list[dict[str, Any]]:
        """List its containers, running or not."""
        label = f"com.docker.compose.project={PROJECT}"
        listed: list[dict[str, Any]] = self.dockerd.ask("GET", "/containers/json?all=1")
        return [one for one in listed if label in [f"{k}={v}" for k, v in one["Labels"].items()]]

    def remove(self) -> None:
        """Take its containers away."""
        for one in self.containers():
            self.dockerd.ask("DELETE", f"/containers/{one['Id']}?force=1")
