"""The command line beside a booted systemd: one model is a process, one is a service."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tests.booted import Booted
from tests.engine_program import embedded_in
from tests.given_stack import BootedStack
from tests.stack import COMMAND_SECONDS

if TYPE_CHECKING:
    from pathlib import Path


class ServiceStack(BootedStack):
    """`reconciler` beside a booted systemd, of which tiny-b is a service."""

    def __init__(
        self,
        folder: Path,
        booted: Booted,
        launcher: str = "{kind: systemd, unit: tiny.service}",
    ) -> None:
        super().__init__(folder, launcher, booted)
        self.service(f"ExecStart={shlex.join(self.given)}")

    def begin(self, *words: str) -> dict[str, Any]:
        """Run `init`, or an import, in a home of its own; from now on its files count."""
        (self.folder / "state").rename(self.folder / "before")
        argv = [*self.booted.entering, "env", f"--chdir={self.folder}", f"HOME={self.folder}"]
        words = words or ("init",)
        done = subprocess.run(
            [*argv, sys.executable, "-m", "reconciler", *words, "state", "-o", "json"],
            env=self.environment(), capture_output=True, text=True, check=False,
            timeout=COMMAND_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        begun: dict[str, Any] = json.loads(done.stdout)
        return begun

    def llama_server(self) -> Path:
        """Write a llama-server into the folder, and return where it is."""
        return embedded_in(self.folder)

    def service(self, *lines: str) -> None:
        """Write the service's file, where an operator would keep it."""
        file = self.folder / "tiny.service"
        file.write_text("\n".join(["[Service]", f"WorkingDirectory={self.folder}", *lines, ""]))
        link = self.booted.path("/run/systemd/system/tiny.service")
        link.unlink(missing_ok=True)
        link.symlink_to(file)
        self.booted.run("systemctl", "daemon-reload")

    def listens(self, address: str = "127.0.0.1") -> bool:
        """Return whether somebody accepts connections on the models' port."""
        with closing(socket.socket()) as asking:
            return asking.connect_ex((address, self.port)) == 0

    def serves(self) -> bool:
        return self.booted.shows("tiny", "ActiveState") == "active"
