"""A folder for both files: written once, and begun as a git repository of its own where there is git."""

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
NOBODY = ("-c", "user.name=reconciler init", "-c", "user.email=reconciler@localhost")


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
            found = f"{self.directory} holds {' and '.join(there)} already, and nothing was written"
            raise Refused(
                f"{found}; name another directory, or look at these with `reconciler plan --state"
                f" {self.directory}`"
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
            raise Unreachable(
                f"nothing was written: {error.message}, or name another directory"
            ) from error
        return self._commit(sorted(files))

    def _commit(self, names: Sequence[str]) -> str:
        try:
            if not os.path.exists(self.directory / ".git"):
                self._git("init", "--quiet")
            who = () if self._git("config", "--get", "user.email", check=False) else NOBODY
            self._git("add", "--", *names)
            self._git(
                *who,
                "-c",
                "commit.gpgsign=false",
                "commit",
                "--quiet",
                "--message",
                "What this machine serves",
                "--",
                *names,
            )
        except FileNotFoundError:
            return (
                "git is not installed, so nothing remembers what the files were; install it, and"
                " run `git init` there"
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or b""
            why = said.decode("utf-8", "replace").strip().splitlines()
            return (
                f"git did not commit them ({why[-1] if why else 'it did not end in time'}); commit"
                " both files there yourself"
            )
        return "committed to git"

    def _git(self, *words: str, check: bool = True) -> str:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("GIT_")
        }
        done = subprocess.run(  # noqa: S603 - a fixed program with a list of words
            [  # noqa: S607 - as found on the PATH
                "git",
                "-C",
                str(self.directory),
                "-c",
                "core.hooksPath=/dev/null",
                *words,
            ],
            capture_output=True,
            check=check,
            timeout=GIT_PATIENCE,
            env={**environment, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"},
        )
        return done.stdout.decode("utf-8", "replace").strip()
