"""The command line beside what the machine keeps: one model is a process, one exists already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.drivers.engines import embedded
from tests.engine import weights_in
from tests.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.booted import Booted

INVENTORY = """version: 1
models:
  tiny-a: {{engine: {{kind: embedded, seed: 1}}, port: {port}, stable_for: 200ms}}
  tiny-b:
    engine: {{kind: embedded, weights: {weights}}}
    launcher: {launcher}
    port: {port}
    stable_for: 200ms
"""


class GivenStack(Stack):
    """`reconciler` with tiny-b under a launcher that only starts and stops it."""

    def __init__(self, folder: Path, launcher: str) -> None:
        """Take the launcher as it stands in the inventory."""
        super().__init__(folder)
        self.weights = weights_in(folder)
        text = INVENTORY.format(port=self.port, weights=self.weights, launcher=launcher)
        (folder / "state" / "inventory.yaml").write_text(text)
        (folder / "slots").mkdir(exist_ok=True)
        kept = folder / "slots" / "another-name"
        kept.mkdir()
        options = embedded.Options(weights=str(self.weights), slots=str(kept.parent))
        self.given = embedded.command(options, "another-name", self.port).argv


class BootedStack(GivenStack):
    """`reconciler` on a host that was booted for the tests."""

    def __init__(self, folder: Path, launcher: str, booted: Booted) -> None:
        self.booted = booted
        super().__init__(folder, launcher)

    def argv(self, *words: str, directory: str = "data") -> list[str]:
        return [
            *self.booted.entering,
            "env",
            f"--chdir={self.folder}",
            *super().argv(*words, directory=directory),
        ]
