"""Requests about saved conversations: a folder of slot files and their sidecars."""

from typing import ClassVar, Literal

from reconciler.model.facts import Sidecar, UnitIdentity
from reconciler.model.onhost import Action, Batch, InDoubt, OfPlace, Question


class AskSaved(OfPlace, Question):
    """Ask for the sidecars of a slot directory, newest for each slot, and the free space there."""

    batch: ClassVar[Batch] = "files"
    do: Literal["saved"] = "saved"
    directory: str


class SealSlot(OfPlace, Action):
    """Make a saved slot file durable, and drop what it replaces.

    In this order: check its size, fsync, sha256, write its sidecar, rename both. In a folder that
    other models may use (`shared`), what has another fingerprint is not replaced.
    """

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["seal"] = "seal"
    directory: str
    temporary: str
    file: str
    size: int
    sidecar: Sidecar
    shared: bool = False


class CheckSlot(OfPlace, Action):
    """Read a saved slot file whole and compare size and sha256 with its sidecar.

    Answers its tokens, or how it begins.
    """

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["check"] = "check"
    directory: str
    file: str


class NoteAttempt(OfPlace, Action):
    """Write durably into a sidecar that its file was put into a unit, and what came of it."""

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["note"] = "note"
    directory: str
    file: str
    identity: UnitIdentity
    outcome: Literal["open", "proven", "cold", "unverified", "failed"]
    reason: str = ""


class MakeRoom(OfPlace, Action):
    """Delete leftovers, then the oldest slot files, until `needed` bytes fit; never one in `keep`.

    They must fit in `budget` and on the disk. `spare` more bytes are made free where that is
    possible: how long a file will be is not known to the byte. In a folder that other models may
    use (`shared`), what one of them may be saving is no leftover.
    """

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["room"] = "room"
    directory: str
    needed: int
    budget: int
    keep: tuple[str, ...]
    spare: int = 0
    shared: bool = False
