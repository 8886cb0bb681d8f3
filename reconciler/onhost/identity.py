"""Whether a path that a process names leads to the same file as one that an inventory names."""

from __future__ import annotations

import os
from typing import Any

from reconciler.onhost import procfs
from reconciler.onhost.files import absolute


def same(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer `same`: None where that cannot be known.

    `theirs` is a path of the process `pid`, which may be in a container. Links lead to the file
    that they name, wherever they are; a bind mount shows the same file.
    """
    ours = _status(absolute(request["ours"], directory))
    theirs = _as_seen_by(int(request["pid"]), request["theirs"])
    if ours is None or theirs is None:
        return {"same": None}
    if os.path.samestat(ours, theirs):
        return {"same": True}
    # A copy of the same name and size is as good as the file.
    is_copy = ours.st_size == theirs.st_size and _are_named_alike(request)
    return {"same": None if is_copy else False}


def _are_named_alike(request: dict[str, Any]) -> bool:
    names = (os.path.basename(request[one]) for one in ("ours", "theirs"))
    return len(set(names)) == 1


def _as_seen_by(pid: int, path: str) -> os.stat_result | None:
    """Find the file behind a path of a process: through its root and folder, or as one of ours."""
    if not path.startswith("/"):
        return _status(f"/proc/{pid}/cwd/{path}")
    seen = _status(procfs.root(pid) + path)
    # The root of another user's process is hidden, and mostly the one that we have.
    return seen or (None if _is_apart(pid) else _status(path))


def _is_apart(pid: int) -> bool:
    """Whether a process is known to have another root, so that its paths mean nothing here."""
    root, ours = _status(procfs.root(pid)), _status("/")
    return root is not None and ours is not None and not os.path.samestat(root, ours)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None
