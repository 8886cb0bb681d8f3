"""The command line beside a dockerd: one model is a process, one is a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.drivers.engines import embedded
from tests.engine import weights_in
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.dockers import Dockerd

INVENTORY = """version: 1
models:
  tiny-a: {{engine: {{kind: embedded, seed: 1}}, port: {port}, stable_for: 200ms}}
  tiny-b:
    engine: {{kind: embedded, weights: {weights}}}
    launcher: {{kind: docker, container: tiny, socket: {socket}}}
    port: {port}
    stable_for: 200ms
"""


class ContainerStack(Stack):
    """`reconciler` beside a dockerd that has tiny-b as a container."""

    def __init__(self, folder: Path, dockerd: Dockerd) -> None:
        self.dockerd = dockerd
        super().__init__(folder)
        weights = weights_in(folder)
        text = INVENTORY.format(port=self.port, weights=weights, socket=dockerd.socket)
        (folder / "state" / "inventory.yaml").write_text(text)
        (folder / "slots").mkdir()
        options = embedded.Options(weights=str(weights))
        self.container(embedded.command(options, "another-name", self.port).argv)

    def container(self, argv: Sequence[str], **settings: object) -> None:
        """Make the container again."""
        self.dockerd.create("tiny", argv, self.folder, **settings)

    def pid(self) -> int:
        """Return the container's first process, 0 where none runs."""
        return int(self.dockerd.state("tiny")["Pid"])
