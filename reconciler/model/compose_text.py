"""Compose text: a compose file as it was read, and the variables that it may name."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import JsonValue

from reconciler.model.problem import KeyPath

Variables = Mapping[str, str]


class ComposeText(NamedTuple):
    """The value of a compose file as it is written, and in which line each of its parts stands.

    `path` is how it was named, and `file` its whole path.

    `variables` are those of the environment and of the `.env` beside it; `files` those of each file
    that a service takes its environment from, None of one that cannot be read.
    """

    path: str
    file: str
    value: JsonValue
    lines: Mapping[KeyPath, int]
    variables: Variables
    files: Mapping[str, Variables | None]

    def where(self, *path: str | int) -> str:
        """Tell file and line of a part, the first line of one that is not written."""
        return f"{self.path}:{self.lines.get(path, 1)}"
