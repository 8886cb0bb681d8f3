"""Proposal: desired.yaml as it would read with another active model.

Read like the files, and written only when asked.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.config import git
from reconciler.edge.atomic import rewrite
from reconciler.errors import PlanStale, Unreachable, WriteFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.model.target import Wanted


class FileProposal:
    """What desired.yaml is and would be, the model and host that it is about, and how it would be resolved."""

    def __init__(
        self,
        path: Path,
        about: tuple[str, str],
        before: bytes,
        after: bytes,
        resolved: Callable[[], Wanted],
    ) -> None:
        """Propose to replace `before` by `after` in the file at `path`.

        It is `about` a model and its host.
        """
        self._path = path
        self.model, self.host = about
        self._before = before
        self._after = after
        self._resolved = resolved

    @property
    def path(self) -> str:
        """The name of the file, as it was given."""
        return str(self._path)

    @property
    def diff(self) -> str:
        """The change as a unified diff, empty when there is none."""
        before, after = (
            content.decode("utf-8-sig").splitlines() for content in (self._before, self._after)
        )
        return "\n".join(
            difflib.unified_diff(before, after, self.path, f"{self.path} (proposed)", lineterm="")
        )

    def read(self) -> Wanted:
        """Return both files resolved as if this were written.

        Raise ConfigError with every problem.
        """
        return self._resolved()

    def write(self) -> tuple[str, ...]:
        """Replace the content of the file, or of what a link there leads to, and return what else of it could not be kept.

        Raise PlanStale or Unreachable, with the file unchanged.
        """
        try:
            now = self._path.read_bytes()
        except OSError as error:
            raise Unreachable(
                f"{self.path} cannot be read any more: {error.strerror}; nothing was written"
            ) from error
        if now != self._before:
            raise PlanStale(
                f"{self.path} was changed by somebody else meanwhile; nothing was written. Look at"
                " it and try again"
            )
        try:
            return rewrite(self._path, self._after)
        except WriteFailed as error:
            raise Unreachable(f"nothing was changed: {error.message}") from error

    def commit(self, message: str) -> None:
        """Commit this file alone, unless git has it as it is.

        Raise Unreachable with what git said.
        """
        git.commit(Path(os.path.realpath(self._path)), message)
