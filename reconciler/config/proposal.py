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
    """An edit of desired.yaml: before and after, what it is about, and how it would be resolved."""

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
        before, after = _lines(self._before), _lines(self._after)
        proposed = f"{self.path} (proposed)"
        return "\n".join(difflib.unified_diff(before, after, self.path, proposed, lineterm=""))

    def read(self) -> Wanted:
        """Resolve both files as if this were written; raise ConfigError with every problem."""
        return self._resolved()

    def write(self) -> tuple[str, ...]:
        """Replace the content of the file; return what else of it could not be kept.

        A link is followed. Raise PlanStale or Unreachable, with the file unchanged.
        """
        try:
            now = self._path.read_bytes()
        except OSError as error:
            why = f"{self.path} cannot be read any more: {error.strerror}; nothing was written"
            raise Unreachable(why) from error
        # The plan that was approved is that of the file as it was read.
        if now != self._before:
            raise PlanStale(
                f"{self.path} was changed in the meantime; nothing was written. Look at it and try"
                " again"
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


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8-sig").splitlines()
