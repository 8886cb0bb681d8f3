"""A new virtual environment and its programs; a failure shows the command and its last words."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.rules.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 600
WORDS = 3000
OTHERS = ("PYTHON", "VIRTUAL_ENV", "RECONCILER_", "PYTEST_")
"""What of our own environment must not reach into the new one."""


class Failed(Exception):
    """A command that ended otherwise than it should."""


def run(*argv: str | Path, folder: Path = ROOT) -> str:
    """Run a command and return its output; raise Failed with what it wrote."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
    done = subprocess.run(
        argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failed(
            f"`{' '.join(map(str, argv))}` ended with {done.returncode}:\n{done.stdout[-WORDS:]}"
        )
    return done.stdout


class Environment:
    """A virtual environment in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"

    def pip(self, *words: str | Path) -> None:
        """Install something."""
        run(
            self.python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-compile",
            "--disable-pip-version-check",
            *words,
        )

    def lock(self, name: str) -> None:
        """Install what a lock file holds, as the Makefile does."""
        self.pip("--require-hashes", "-r", ROOT / name)

    def demo(self) -> None:
        """Run the demo of the installed program where no checkout is."""
        run(self.folder / "bin" / "reconciler", "demo", folder=self.folder)


@contextmanager
def new(python: str) -> Iterator[Environment]:
    """Make an environment of this interpreter, which is gone afterwards."""
    with TemporaryDirectory(prefix="reconciler-install-") as folder:
        run(python, "-m", "venv", folder)
        yield Environment(Path(folder))
