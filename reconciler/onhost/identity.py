"""Whether a path of a unit leads to the same file as one that an inventory names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from reconciler.onhost import places, procfs
from reconciler.onhost.files import absolute, is_gone
from reconciler.onhost.places import NotMounted

if TYPE_CHECKING:
    from reconciler.onhost.places import Place


def same(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer `same`: None where that cannot be known.

    `theirs` is a path of a unit, which may be in a container; `ours` is one there or on the host.
    Links lead to the file that they name, wherever they are; a bind mount shows the same file.
    """
    inside = request.get("inside")
    place = places.of(inside) if inside else None
    theirs = _theirs(request, directory, place)
    if theirs is None:
        return {"same": None}
    meant = _meant(absolute(request["ours"], directory), place)
    if all(map(is_gone, meant)):
        return {"same": False}
    found = [status for path in meant if (status := _status(path))]
    if any(os.path.samestat(one, theirs) for one in found):
        return {"same": True}
    # A copy of the same name and size is as good as the file.
    is_copy = _are_named_alike(request) and theirs.st_size in [one.st_size for one in found]
    return {"same": False if found and not is_copy else None}


def _theirs(request: dict[str, Any], directory: str, place: Place | None) -> os.stat_result | None:
    path, pid = request["theirs"], int(request["pid"])
    if place is None:
        return _as_seen_by(pid, path) if pid else _status(absolute(path, directory))
    # The main process of a service that makes a container is outside of that.
    there = _on_host(path, place)
    seen = _status(there) if there.startswith("/") else None
    return seen or (_as_seen_by(pid, path) if pid else None)


def _on_host(path: str, place: Place | None) -> str:
    """Find a path of a unit on its host, "" where it is on no mount."""
    try:
        return places.on_host(path, place) if place else path
    except NotMounted:
        return ""


def _meant(path: str, place: Place | None) -> list[str]:
    """List where a path may lead: it is one of the host, or of a container."""
    return [path, *filter(None, [_on_host(path, place)])]


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
