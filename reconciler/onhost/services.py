"""Which systemd service or which supervisor starts a process, and starts it again, by its control group and its parents."""

from __future__ import annotations

import os
import pwd
import re

from reconciler.onhost import procfs

_OF_USER = re.compile(r"/user@(\d+)\.service(?=/)")
_TERMINAL = 4

_FOR_OTHERS = re.compile(
    r"(?:user|anacron|atd|crond?|fcron|dropbear|sshd?|.*getty|login|containerd|crio|docker|kubelet|podman)(?:@.*)?\.service"
)
"""Services in whose control group runs what others asked for, and that are not to be ended with
it."""

_SUPERVISORS = {
    "PM2", "circusd", "dinit", "god", "llama-swap", "monit", "runsv", "s6-supervise", "supervise",
    "supervise-daemon", "supervisord",
}  # fmt: skip
_SHELLS = {"bash", "dash", "env", "sh", "sudo", "tini", "zsh"}
"""Programs that only wait for the one that they have started."""

_CLIMBS = 8


def service(pid: int, proc: str = "/proc") -> dict[str, str] | None:
    """Return name and scope (system or user) of the service that a process is, None when it was started by hand.

    What has a terminal was typed there, even where the terminal itself is a service; what cron or a
    login started is not the service that these are; and what a supervisor started is that one's.
    """
    fields = procfs.read(f"{proc}/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) <= _TERMINAL or fields[_TERMINAL] != b"0":
        return None
    path = group(pid, proc)
    found = of_path(path)
    return (
        found
        if found and path.endswith(f"/{found['name']}") and not supervisor(pid, proc)
        else None
    )


def of_path(path: str) -> dict[str, str] | None:
    """Return the innermost service whose control group a path leads through, None without one."""
    names = [
        name
        for name in path.split("/")
        if name.endswith(".service") and not _FOR_OTHERS.fullmatch(name)
    ]
    return (
        {"name": names[-1], "scope": "user" if _OF_USER.search(path) else "system"}
        if names
        else None
    )


def group(pid: int | str, proc: str = "/proc") -> str:
    """Return the control group of a process where systemd keeps it, "" or "/" where nobody does."""
    lines = procfs.read(f"{proc}/{pid}/cgroup", 65536).decode("utf-8", "replace").splitlines()
    told = [line.partition(":")[2].partition(":") for line in lines]
    return max(
        (path for controllers, _, path in told if controllers in {"", "name=systemd"}),
        key=len,
        default="",
    )


def user(path: str) -> str:
    """Return whose manager keeps a control group, "" for that of the system."""
    found = _OF_USER.search(path)
    try:
        return pwd.getpwuid(int(found[1])).pw_name if found else ""
    except KeyError:
        return found[1] if found else ""


def supervisor(pid: int, proc: str = "/proc") -> str:
    """Return the supervisor that started a process, as `NAME (pid N)`; "" where none did."""
    for _ in range(_CLIMBS):
        one = procfs.parse_stat(pid, procfs.read(f"{proc}/{pid}/stat"))
        pid = one.parent if one else 0
        names = _names(pid, proc) if pid > 1 else set()
        known = sorted(names & _SUPERVISORS)
        if known:
            return f"{known[0]} (pid {pid})"
        if not names & _SHELLS:
            return ""
    return ""


def _names(pid: int, proc: str) -> set[str]:
    """Return what a program may be called: by its words, and, of a script, by its first argument."""
    words = procfs.argv(pid, proc)[:2]
    interpreted = words and os.path.basename(words[0]).startswith(
        ("python", "node", "ruby", "perl")
    )
    return {
        os.path.basename(word.partition(" ")[0]) for word in (words if interpreted else words[:1])
    }
