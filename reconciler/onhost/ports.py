"""Who listens on a TCP port: the sockets that do, then the process that holds one of them.

The process is sought among our own units and the last answers before anywhere else, because this is
polled.
"""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING, Any

from reconciler.onhost import origins, procfs, servers, sockets

if TYPE_CHECKING:
    from collections.abc import Iterable

RECENT_LIMIT = 64

_recent: dict[int, None] = {}


def owner(port: int, directory: str | None = None) -> dict[str, Any]:
    """Answer who listens on `port` on any address; the pid is None when the process cannot be seen.

    With a `directory`, the model is named only for a unit that was started from there; another one
    is kept by another reconciler.
    """
    found = sockets.listening(port)
    if not found:
        return {"owner": None}
    links = {f"socket:[{one.inode}]" for one in found}
    pid = (
        _holder(_expected(), links)
        or _holder(procfs.pids(), links)
        or servers.of_user(port, found[0].user)
    )
    if pid is None:
        return {
            "owner": {"pid": None, "name": f"a program of {_user(found[0].user)}", "model": None}
        }
    expect(pid)
    text = procfs.mark_text(pid)
    ours = text is not None and (directory is None or procfs.works_in(pid, directory))
    mark = procfs.parse_mark(text) if ours and text is not None else None
    name = procfs.read(f"/proc/{pid}/comm").decode("utf-8", "replace").strip()
    user = "" if procfs.owner(pid) == os.geteuid() else procfs.user(pid)
    told = {"pid": pid, "name": name, "model": mark["model"] if mark else None, "user": user}
    origin = origins.origin(pid)
    if text is not None and not ours:
        origin["supervisor"] = origin["supervisor"] or f"another reconciler{_place(pid)}"
    return {"owner": {**told, **origin}}


def _place(pid: int) -> str:
    """Return where a process works, in brackets; nothing where nobody may know."""
    try:
        return f" ({os.readlink(f'/proc/{pid}/cwd')})"
    except OSError:
        return ""


def expect(pid: int) -> None:
    """Look at this process and what descends from it first from now on."""
    _recent.pop(pid, None)
    _recent[pid] = None
    while len(_recent) > RECENT_LIMIT:
        _recent.pop(next(iter(_recent)), None)


def _expected() -> Iterable[int]:
    """Yield the expected processes, newest first, each before what descends from it."""
    for pid in reversed(list(_recent)):
        if os.path.exists(f"/proc/{pid}"):
            yield pid
            yield from procfs.offspring(pid)
        else:
            _recent.pop(pid, None)


def _holder(pids: Iterable[int], links: set[str]) -> int | None:
    """Return the first process that has one of these sockets open."""
    return next((pid for pid in pids if _holds(pid, links)), None)


def _holds(pid: int, links: set[str]) -> bool:
    """Return whether one of a process's descriptors is one of these sockets."""
    try:
        return any(one in links for one in procfs.descriptors(pid))
    except OSError:
        return False


def _user(number: int) -> str:
    """Return a user as people know it."""
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"
