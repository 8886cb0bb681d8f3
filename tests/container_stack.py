"""The command line beside a dockerd: one model is a process, one is a container."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.dockers import IMAGE, PROGRAMS
from tests.given_stack import GivenStack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.dockers import Dockerd


class ContainerStack(GivenStack):
    """`reconciler` beside a dockerd that has tiny-b as a container."""

    name = "tiny"

    def __init__(self, folder: Path, dockerd: Dockerd) -> None:
        self.dockerd = dockerd
        super().__init__(folder, f"{{kind: docker, container: tiny, socket: {dockerd.socket}}}")
        self.container(self.given)

    def container(self, argv: Sequence[str], **settings: Any) -> None:
        """Make the container again."""
        self.dockerd.create("tiny", argv, self.folder, **settings)

    def pid(self) -> int:
        """Return the container's first process, 0 where none runs."""
        return int(self.dockerd.state(self.name)["Pid"])


class OwnedContainerStack(ContainerStack):
    """`reconciler` beside an engine with which it makes a container for tiny-b."""

    name = "reconciler-tiny-b"

    def __init__(self, folder: Path, dockerd: Dockerd, image: str = IMAGE) -> None:
        self.dockerd = dockerd
        made = {"kind": "docker", "image": image, "volumes": PROGRAMS, "socket": dockerd.socket}
        GivenStack.__init__(self, folder, json.dumps(made))

    def named(self) -> list[str]:
        """Return the ids of all containers of its name, running or not."""
        listed = self.dockerd.ask("GET", "/containers/json?all=1")
        return [one["Id"] for one in listed if f"/{self.name}" in one["Names"]]
