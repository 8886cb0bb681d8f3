"""Who listens on a TCP port: the sockets that do, then the process that holds one of them.

The process is sought among our own units and the last answers before anywhere else, because this is
polled. Whose descriptors are hidden is told by the control group of the socket.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from reconciler.onhost import docker_ports, groups, origins, procfs, servers, sockets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.onhost.sockets import Socket

RECENT_LIMIT = 64

_recent: dict[int, None] = {}


def owner(port: int, directory: str | None = None) -> dict[str, Any]:
    """Answer who listens on `port` on any address; the pid is None when the process is hidden.

    With a `directory`, the model is named only for a unit that was started from there; another one
    is kept by another reconciler.
    """
    found = sockets.listening(port)
    if not found:
        return {"owner": None}
    pid = _listener(port, found)
    if pid is None:
        name = f"a program of user {procfs.account(found[0].user)}"
        return {"owner": {"pid": None, "name": name, "model": None}}
    expect(pid)
    return {"owner": _described(pid, directory)}


def _listener(port: int, found: list[Socket]) -> int | None:
    return holder(found) or _hidden(port, found[0])


def holder(found: list[Socket]) -> int | None:
    """Find a process that has one of these sockets open, None where that is hidden."""
    links = {f"socket:[{one.inode}]" for one in found}
    return _holder(_expected(), links) or _holder(procfs.pids(), links)


def _hidden(port: int, one: Socket) -> int | None:
    """Find who listens where another user's descriptors are hidden: by its control group.

    What else is in that group may be a person's, but of a service or a container it is the first.
    """
    members = [pid for pid in groups.members(one.group) if _is_hidden(pid)]
    if not members:
        theirs = [pid for pid in procfs.pids() if procfs.owner(pid) == one.user]
        return servers.told(port, theirs)
    origin = origins.origin(members[0])
    is_theirs_alone = origin["container"] or origin["service"]
    told = servers.told(port, members) or docker_ports.told(port, members)
    return told or (members[0] if is_theirs_alone else None)


def _is_hidden(pid: int) -> bool:
    try:
        os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def _described(pid: int, directory: str | None) -> dict[str, Any]:
    mark = procfs.mark_text(pid)
    is_ours = directory is None or procfs.works_in(pid, directory)
    origin = origins.origin(pid)
    if mark is not None and not is_ours:
        origin["supervisor"] = origin["supervisor"] or f"another reconciler{_place(pid)}"
    return {
        "pid": pid,
        "name": procfs.comm(pid),
        "model": _model(mark) if is_ours else None,
        "user": _other_user(pid),
        **origin,
    }


def _other_user(pid: int) -> str:
    """Name the user whose process it is, "" for our own."""
    return "" if procfs.owner(pid) == os.geteuid() else procfs.user(pid)


def _model(text: str | None) -> Any:  # noqa: ANN401 - as the mark has it
    mark = procfs.parse_mark(text) if text else None
    return mark["model"] if mark else None


def _place(pid: int) -> str:
    """Tell where a process works, in brackets; "" where that is hidden."""
    place = procfs.link(f"/proc/{pid}/cwd")
    return f" ({place})" if place else ""


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
    """Find the first process that has one of these sockets open."""
    return next((pid for pid in pids if _holds(pid, links)), None)


def _holds(pid: int, links: set[str]) -> bool:
    try:
        return any(one in links for one in procfs.descriptors(pid))
    except OSError:
        return False
