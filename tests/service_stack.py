"""The command line beside a booted systemd: one model is a process, one is a service."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tests.booted import Booted
from tests.given_stack import BootedStack

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

    def service(self, *lines: str) -> None:
        """Write the service's file, where an operator would keep it."""
        file = self.folder / "tiny.service"
        file.write_text("\n".join(["[Service]", f"WorkingDirectory={self.folder}", *lines, ""]))
        link = self.booted.path("/run/systemd/system/tiny.service")
        link.unlink(missing_ok=True)
        link.symlink_to(file)
        self.booted.run("systemctl", "daemon-reload")

    def pid(self) -> int:
        """Return the service's main process, 0 where none runs."""
        return int(self.booted.shows("tiny", "MainPID"))

    def serves(self) -> bool:
        return self.booted.shows("tiny", "ActiveState") == "active"
