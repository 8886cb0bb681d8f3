"""Which systemd service or supervisor starts a process, and starts it again.

Its control group and its parents tell.
"""

from __future__ import annotations

import os
import re

from reconciler.onhost import procfs

_OF_USER = re.compile(r"/user@(\d+)\.service(?=/)")
_TERMINAL = 4

_FOR_OTHERS = re.compile(
    r"(?:user|anacron|atd|crond?|fcron|dropbear|sshd?|.*getty|login|containerd|crio|docker|kubelet"
    r"|podman)(?:@.*)?\.service"
)
"""Services in whose control group runs what others asked for, and that are not to be ended with
it."""

_SUPERVISORS = {
    "PM2",
    "circusd",
    "dinit",
    "god",
    "llama-swap",
    "monit",
    "runsv",
    "s6-supervise",
    "supervise",
    "supervise-daemon",
    "supervisord",
}
_INTERPRETERS = ("python", "node", "ruby", "perl")
_SHELLS = {"bash", "dash", "env", "sh", "sudo", "tini", "zsh"}
"""Programs that only wait for the one that they have started."""

_CLIMBS = 8


def service(pid: int, proc: str = "/proc") -> dict[str, str] | None:
    """Find name and scope (system or user) of the service that a process is.

    None when it was started by hand, by cron or a login, or by a supervisor.
    """
    # What has a terminal was typed there, even where the terminal itself is a service.
    if not _is_without_terminal(pid, proc):
        return None
    path = group(pid, proc)
    found = of_path(path)
    if not found or not path.endswith(f"/{found['name']}"):
        return None
    return None if supervisor(pid, proc) else found


def _is_without_terminal(pid: int, proc: str) -> bool:
    fields = procfs.fields(pid, proc)
    return fields[_TERMINAL : _TERMINAL + 1] == [b"0"]


def of_path(path: str) -> dict[str, str] | None:
    """Find the innermost service whose control group a path leads through, None without one."""
    names = [name for name in path.split("/") if _is_service(name)]
    return {"name": names[-1], "scope": _scope(path)} if names else None


def _scope(path: str) -> str:
    return "user" if _OF_USER.search(path) else "system"


def _is_service(group: str) -> bool:
    return group.endswith(".service") and not _FOR_OTHERS.fullmatch(group)


def group(pid: int | str, proc: str = "/proc") -> str:
    """Find the control group of a process where systemd keeps it, "" or "/" without systemd."""
    lines = procfs.text(f"{proc}/{pid}/cgroup", procfs.TABLE_LIMIT).splitlines()
    told = [line.partition(":")[2].partition(":") for line in lines]
    # Version 2 has no name for its only hierarchy; where both are mounted, one may be just "/".
    paths = [path for controllers, _, path in told if controllers in {"", "name=systemd"}]
    return max(paths, key=len, default="")


def user(path: str) -> str:
    """Find whose manager keeps a control group, "" for that of the system."""
    found = _OF_USER.search(path)
    return procfs.account(int(found[1])) if found else ""


def supervisor(pid: int, proc: str = "/proc") -> str:
    """Find the supervisor that started a process, as `NAME (pid N)`; "" where none did."""
    for _ in range(_CLIMBS):
        one = procfs.process(pid, proc)
        pid = one.parent if one else 0
        names = _names(pid, proc) if pid > 1 else set()
        known = names & _SUPERVISORS
        if known:
            return f"{min(known)} (pid {pid})"
        if not names & _SHELLS:
            return ""
    return ""


def _names(pid: int, proc: str) -> set[str]:
    """Find what a program may be called: by its words, and, of a script, by its first argument."""
    words = procfs.argv(pid, proc)
    count = 2 if words and _interprets(words[0]) else 1
    # Some write a title in place of their words: `PM2 v5.3.0: God Daemon`.
    return {os.path.basename(word.partition(" ")[0]) for word in words[:count]}


def _interprets(word: str) -> bool:
    return os.path.basename(word).startswith(_INTERPRETERS)
