"""YAML document: the plain value of a file, and where each part of it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from reconciler.model.problem import KeyPath

if TYPE_CHECKING:
    from pydantic import JsonValue


class FilePosition(NamedTuple):
    """A place in a file; line and column count from 1."""

    line: int
    column: int


BEGINNING = FilePosition(1, 1)


class Flaw(NamedTuple):
    """What is wrong with the text at a place."""

    place: FilePosition
    path: KeyPath
    sentence: str


class BrokenText(Exception):
    """The flaw that ends reading."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.sentence)
        self.flaw = flaw


@dataclass
class Document:
    """The value of a document, where its keys and values stand, and what is wrong with its text.

    What an alias or a merge key brings stands where it is written. `typed` holds the text of
    unquoted numbers, true and false.
    """

    value: JsonValue = None
    keys: dict[KeyPath, FilePosition] = field(default_factory=dict)
    values: dict[KeyPath, FilePosition] = field(default_factory=dict)
    typed: dict[KeyPath, str] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)
    complete: bool = False

    def place(self, path: KeyPath, *, at_key: bool = False) -> FilePosition:
        """Find where a value or its key stands.

        What is not written stands where the nearest thing around it does.
        """
        path = self.written(path)
        value = self.values.get(path, BEGINNING)
        return self.keys.get(path, value) if at_key else value

    def written(self, path: KeyPath) -> KeyPath:
        """Cut a path back to what is written in the file."""
        # A schema may see `a: x` as `a: {kind: x}` or `a: [x]`.
        while path and path not in self.values:
            path = path[:-1]
        return path
