"""Real git repositories for tests, without anything of the machine's own settings."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WHO = {"NAME": "Ana \x1b[31m", "EMAIL": "ana@example.org"}
IDENTITY = {
    f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in WHO.items()
}


def git(directory: Path, *words: str) -> str:
    settings = {**IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    environment = {**os.environ, **settings}
    return subprocess.run(
        ["git", "-C", str(directory), *words],  # noqa: S607
        check=True, capture_output=True, text=True, env=environment,
    ).stdout.strip()  # fmt: skip


def repository(directory: Path) -> str:
    """Commit both files of a folder, or of its state folder, to a new repository: the commit."""
    git(directory, "init", "-q")
    state = "state" if (directory / "state").exists() else "."
    git(directory, "add", f"{state}/desired.yaml", f"{state}/inventory.yaml")
    git(directory, "commit", "-qm", "Run the small model")
    return git(directory, "rev-parse", "HEAD")
