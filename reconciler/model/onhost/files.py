"""Requests about files: weights, programs, and what both depend on."""

from typing import ClassVar, Literal

from reconciler.model.onhost import READ_SECONDS, Action, Batch, InDoubt, OfPlace, Question


class AskPlace(OfPlace, Question):
    """Ask why a file, or a folder, cannot be read, or also be written into.

    That also by the process `pid`, 0 for none.
    """

    do: Literal["place"] = "place"
    path: str
    folder: bool = False
    written: bool = False
    pid: int = 0


class AskInsideFile(OfPlace, Question):
    """Ask whether a container certainly lacks a file that would be its own."""

    do: Literal["inside-file"] = "inside-file"
    file: str


class AskSameFile(OfPlace, Question):
    """Ask whether two paths lead to one file; the answer is None where that is not known.

    `theirs` is a path of a unit, and as its process `pid` sees it, 0 for one that does not run.
    `ours` is one of the unit or of the host.
    """

    do: Literal["same-file"] = "same-file"
    theirs: str
    ours: str
    pid: int = 0


class AskGguf(OfPlace, Question):
    """Ask for size, time and the bounded header of a GGUF file."""

    batch: ClassVar[Batch] = "files"
    do: Literal["gguf"] = "gguf"
    path: str


class AskFingerprint(OfPlace, Question):
    """Ask for one digest over all that a saved conversation depends on.

    That is the weights (all shards), program files with their folders of shared libraries, and
    `flags`. The answer says when a file among them last changed.
    """

    batch: ClassVar[Batch] = "files"
    do: Literal["fingerprint"] = "fingerprint"
    weights: tuple[str, ...]
    programs: tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def patience(self) -> float:
        """As long as reading files of many gigabytes may take."""
        return READ_SECONDS


class PrefetchFile(Action):
    """Ask the kernel to read a file into the page cache."""

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["prefetch"] = "prefetch"
    path: str

    @property
    def patience(self) -> float:
        """As long as reading files of many gigabytes may take."""
        return READ_SECONDS
