"""The command line beside a dockerd: one model is a process, one is a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.given_stack import GivenStack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.dockers import Dockerd


class ContainerStack(GivenStack):
    """`reconciler` beside a dockerd that has tiny-b as a container."""

    def __init__(self, folder: Path, dockerd: Dockerd) -> None:
        self.dockerd = dockerd
        super().__init__(folder, f"{{kind: docker, container: tiny, socket: {dockerd.socket}}}")
        self.container(self.given)

    def container(self, argv: Sequence[str], **settings: Any) -> None:
        """Make the container again."""
        self.dockerd.create("tiny", argv, self.folder, **settings)

    def pid(self) -> int:
        """Return the container's first process, 0 where none runs."""
        return int(self.dockerd.state("tiny")["Pid"])
