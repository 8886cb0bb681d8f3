"""A folder for both files: written once, and begun as its own git repository if there is git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.edge.atomic import write_file
from reconciler.errors import Refused, Unreachable, WriteFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OURS = ("desired.yaml", "inventory.yaml")
GIT_PATIENCE = 30.0
READABLE = 0o644
MESSAGE = "What this machine serves"
UNNAMED = ("-c", "user.name=reconciler init", "-c", "user.email=reconciler@localhost")
"""Whom a commit names where git does not know who the user is."""


class GitStateFolder:
    """The folder that `init` fills."""

    def __init__(self, directory: Path) -> None:
        """Use a directory, which need not be there."""
        self.directory = directory

    def refuse_taken(self) -> None:
        """Raise Refused when what would be written is there already, or the directory is none."""
        if os.path.exists(self.directory) and not os.path.isdir(self.directory):
            raise Refused(
                f"{self.directory} is not a directory; name one that is empty or not there yet"
            )
        there = [name for name in OURS if os.path.lexists(self.directory / name)]
        if there:
            look = f"`reconciler plan --state {self.directory}`"
            raise Refused(
                f"{self.directory} holds {' and '.join(there)} already, and nothing was written;"
                f" name another directory, or look at these with {look}"
            )

    def begin(self, files: Mapping[str, str]) -> str:
        """Write the files and commit them; return a sentence on what git has.

        Raise Refused, or Unreachable with none left.
        """
        self.refuse_taken()
        written: list[Path] = []
        try:
            for name, content in files.items():
                write_file(self.directory / name, content.encode(), READABLE)
                written.append(self.directory / name)
        except WriteFailed as error:
            for path in written:
                path.unlink()
            why = f"nothing was written: {error.message}, or name another directory"
            raise Unreachable(why) from error
        return self._committed(sorted(files))

    def _committed(self, names: Sequence[str]) -> str:
        # The files are what was asked for: that git did not take them is told, and no failure.
        try:
            self._commit(names)
        except FileNotFoundError:
            return (
                "git is not installed, so nothing remembers what the files were; install it, and"
                " run `git init` there"
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or b""
            lines = said.decode("utf-8", "replace").strip().splitlines()
            why = lines[-1] if lines else "it did not end in time"
            return f"git did not commit them ({why}); commit both files there yourself"
        return "committed to git"

    def _commit(self, names: Sequence[str]) -> None:
        if not os.path.exists(self.directory / ".git"):
            self._git("init", "--quiet")
        who = () if self._git("config", "--get", "user.email", check=False) else UNNAMED
        self._git("add", "--", *names)
        commit = ("-c", "commit.gpgsign=false", "commit", "--quiet", f"--message={MESSAGE}")
        self._git(*who, *commit, "--", *names)

    def _git(self, *words: str, check: bool = True) -> str:
        # What a calling git left in the environment would lead to its own repository.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("GIT_")
        }
        environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
        command = ["git", "-C", str(self.directory), "-c", "core.hooksPath=/dev/null", *words]
        done = subprocess.run(  # noqa: S603 - a fixed program with a list of words
            command, capture_output=True, check=check, timeout=GIT_PATIENCE, env=environment
        )
        return done.stdout.decode("utf-8", "replace").strip()
