"""A machine on which a llama-server runs in a container, and the commands that keep it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.app import build
from reconciler.settings import settings
from reconciler.verbs import init
from tests.alone import Alone
from tests.engine import weights_in
from tests.engine_program import embedded_in
from tests.running import until
from tests.stack import COMMAND_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dockers import Dockerd


@dataclass(frozen=True)
class Keeping:
    """A machine on which the container `gemma` serves from folders that it has elsewhere."""

    folder: Path
    docker: Dockerd
    port: int

    def __post_init__(self) -> None:
        """Make the folders that the container has elsewhere."""
        for folder in ("models", "slots"):
            (self.folder / folder).mkdir()

    def serve(self, *words: str, **changed: Any) -> None:
        """Make the container and start it, with more words on its command line."""
        embedded_in(self.folder)
        weights = weights_in(self.folder / "models")
        argv = [
            "/app/llama-server", "-m", f"/models/{weights.name}", "-c", "2048",
            "--slot-save-path", "/slots", "--port", str(self.port), *words,
        ]  # fmt: skip
        shared = {"/app": self.folder, "/models": weights.parent, "/slots": self.folder / "slots"}
        mounts = [f"{here}:{there}" for there, here in shared.items()]
        self.docker.create("gemma", argv, self.folder, mounts, **changed)
        self.docker.ask("POST", "/containers/gemma/start")
        until(lambda: self.listens() or changed.get("NetworkMode") == "bridge")

    def listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def pid(self) -> int:
        return int(self.docker.state("gemma")["Pid"])

    def begin(self) -> dict[str, Any]:
        asked = settings(
            {"XDG_STATE_HOME": str(self.folder / "xdg")}, str(self.folder / "stack"), None
        )
        alone = Alone(**vars(build(asked)), pid=self.pid(), models=self.folder / "models")
        return alone.run(init.run, alone, None).document.model_dump(mode="json")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.command(*words, "--state", "stack")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "reconciler", *words],
            cwd=self.folder,
            env={**os.environ, "XDG_STATE_HOME": str(self.folder / "xdg")},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
