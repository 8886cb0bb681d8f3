"""Folder findings: a folder that cannot be written, or has too little room for what goes there."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from reconciler.core import phrases
from reconciler.core.phrases import size
from reconciler.core.report.levels import note, wrong
from reconciler.core.wording import preceded
from reconciler.model.facts import Weights
from reconciler.model.findings import Finding, Subject
from reconciler.model.gpu import GIB
from reconciler.model.machine import HOMELESS, FolderState
from reconciler.model.spec import ModelSpec

LEAST_FREE = GIB // 4
"""Bytes without which a journal may find no room during a run."""


def of_writing(
    subject: Subject, folder: FolderState, user: str, otherwise: str = ""
) -> Iterator[Finding]:
    """Yield why a user cannot write to a folder, or soon cannot; `otherwise` is another way out."""
    if not folder.writable:
        found = f"{folder.path} cannot be written by {user}"
        yield wrong(subject, found, _opening(folder, user, otherwise))
    elif folder.free_bytes < LEAST_FREE:
        found = f"{size(folder.free_bytes)} are left on the disk of {folder.path}"
        yield wrong(subject, found, f"free space there{preceded(', ', otherwise)}")


def _opening(folder: FolderState, user: str, otherwise: str) -> str:
    """Tell how a user is let into a folder of theirs, and into no other.

    What is there already and is not that folder stays its owner's.
    """
    if folder.path.startswith(HOMELESS):
        # Without HOME the path lies in the root: to give that folder away would leave the cause.
        return f"HOME is not set; set it, or XDG_STATE_HOME{', or --data' if otherwise else ''}"
    obstacle = phrases.obstacle(folder.obstacle, folder.nearest, user)
    return f"{obstacle or _owned(folder, user)}{preceded(', ', otherwise)}"


def _owned(folder: FolderState, user: str) -> str:
    """Give the user the folder itself where it is there, and make it where only one above it is."""
    exists = folder.nearest == folder.path
    command = "chown" if exists else "install -d -m 700 -o"
    return f"`sudo {command} {quote(user)} {quote(folder.path)}`"


def of_slots(
    model: ModelSpec, weights: Weights | None, folder: FolderState, user: str
) -> Iterator[Finding]:
    """Yield why conversations of a model cannot all be saved in a folder."""
    yield from of_writing("slots", folder, user)
    yield from _room(model, weights, folder)


def _room(model: ModelSpec, weights: Weights | None, folder: FolderState) -> Iterator[Finding]:
    most = _fullest(model, weights)
    if LEAST_FREE <= folder.free_bytes < most:
        found = (
            f"{size(folder.free_bytes)} are left on the disk of {folder.path}; a full context"
            f" takes {size(most)} to save"
        )
        fix = "free space there, or name a larger disk with `slots:`"
        yield note("slots", found, fix)


def _fullest(model: ModelSpec, weights: Weights | None) -> int:
    """Count the bytes that a full context takes when it is saved, 0 where nothing is kept."""
    if weights is None or not weights.keepable or not model.keeps_conversations:
        return 0
    return weights.context * weights.kv_bytes_per_token
