"""Control groups: which processes are in one, by the kernel's number for it or by its path."""

from __future__ import annotations

import os

from reconciler.onhost import procfs

_PLACES = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
"""Where version 2 is mounted, alone or beside version 1."""

_SYSTEMD = "/sys/fs/cgroup/systemd"
"""Where systemd keeps its groups without version 2."""


def members(number: int) -> list[int]:
    """List the processes in the control group of a number, oldest first.

    There are none where that is not known, nor in the group of all that is in no other.
    """
    seen: dict[str, bool] = {}
    found = [pid for pid in procfs.pids() if _is_in(number, pid, seen)]
    living = [one for one in map(procfs.alive, found) if one]
    return [one.pid for one in sorted(living, key=lambda one: (one.start, one.pid))]


def below(path: str) -> set[int]:
    """List the processes in the control group of a path, and in those below it."""
    # Without a group of its own it would be all that runs.
    places = () if path in {"", "/"} else (root + path for root in (*_PLACES, _SYSTEMD))
    # A walk from nowhere finds nothing.
    place = next(filter(os.path.isdir, places), "")
    return {pid for folder, _, _ in os.walk(place) for pid in _listed(folder)}


def _listed(folder: str) -> set[int]:
    listed = procfs.text(f"{folder}/cgroup.procs", procfs.TABLE_LIMIT)
    return {pid for pid in map(int, listed.split()) if pid > 1}


def _is_in(number: int, pid: int, seen: dict[str, bool]) -> bool:
    path = _path(pid)
    if path not in seen:
        seen[path] = number in map(_number, (place + path for place in _PLACES))
    return path not in ("", "/") and seen[path]


def _path(pid: int) -> str:
    lines = procfs.text(f"/proc/{pid}/cgroup", procfs.TABLE_LIMIT).splitlines()
    return next((line[3:] for line in lines if line.startswith("0::")), "")


def _number(folder: str) -> int:
    try:
        return os.stat(folder).st_ino
    except OSError:
        return -1
