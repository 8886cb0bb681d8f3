"""Which processes belong to a light host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

DEAD = {b"Z", b"X"}


def members(mark: bytes, listener: int | None = None) -> set[int]:
    """The listener, the processes with the mark in their environment, and all their descendants.

    An sshd shows no environment, since it writes its title over it; and an engine has left its
    parents.
    """
    children: dict[int, list[int]] = {}
    found: set[int] = set()
    for pid, parent, marked in _processes(mark):
        children.setdefault(parent, []).append(pid)
        if marked or pid == listener:
            found.add(pid)
    unseen = list(found)
    while unseen:
        fresh = [child for child in children.get(unseen.pop(), []) if child not in found]
        found.update(fresh)
        unseen += fresh
    return found


def _processes(mark: bytes) -> Iterator[tuple[int, int, bool]]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state, parent = (folder / "stat").read_bytes().rpartition(b")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in DEAD:
            yield int(folder.name), int(parent), _marked(folder, mark)


def _marked(folder: Path, mark: bytes) -> bool:
    try:
        environment = (folder / "environ").read_bytes()
    except OSError:
        return False  # it ended meanwhile, or is another user's
    return any(
        entry == mark or (mark.endswith(b":") and entry.startswith(mark))
        for entry in environment.split(b"\0")
    )
