"""Which systemd service a process belongs to, by its control group."""

from __future__ import annotations

import re

from reconciler.onhost import procfs

_USERS = re.compile(r"/user@\d+\.service/")
_TERMINAL = 4


def service(pid: int, proc: str = "/proc") -> dict[str, str] | None:
    """Return name and scope (system or user) of the service that a process runs in, None when it was started by hand.

    What has a terminal was typed there, even where the terminal itself is a service.
    """
    fields = procfs.read(f"{proc}/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) <= _TERMINAL or fields[_TERMINAL] != b"0":
        return None
    for line in procfs.read(f"{proc}/{pid}/cgroup", 65536).decode("utf-8", "replace").splitlines():
        _, controllers, path = line.split(":", 2)
        name = path.rpartition("/")[2]
        if controllers in {"", "name=systemd"} and name.endswith(".service") and not name.startswith("user@"):
            return {"name": name, "scope": "user" if _USERS.search(path) else "system"}
    return None
