"""Which container a process runs in, and which systemd service runs that container.

A control group tells, in the shapes that docker, podman, Kubernetes, LXC and systemd-nspawn
make with either of their drivers (systemd, cgroupfs).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.onhost import compose_client, container_engine, procfs, services

if TYPE_CHECKING:
    from reconciler.onhost.container_engine import KeptContainer

_RUNTIMES = (
    ("Kubernetes", re.compile(r"[/-]kubepods(?=[./-])()")),
    ("docker", re.compile(r"/docker-([^/]+)\.scope(?=/|$)")),
    ("docker", re.compile(r"/docker/([0-9a-f]{12,})(?=/|$)")),
    ("podman", re.compile(r"/libpod-(?:payload-)?([0-9a-f]{12,})(?:\.scope)?(?=/|$)")),
    ("cri-o", re.compile(r"/crio-([0-9a-f]{12,})(?:\.scope)?(?=/|$)")),
    ("containerd", re.compile(r"/(?:nerdctl|cri-containerd)-([0-9a-f]{12,})\.scope(?=/|$)")),
    ("LXC", re.compile(r"/lxc(?:\.payload\.|/)([^/]+)")),
    ("systemd-nspawn", re.compile(r"/(?:systemd-nspawn@|machine-)([^/]+)\.(?:service|scope)(?=/)")),
)
_PROXMOX, _OF_PROXMOX = "Proxmox VE", "/etc/pve/lxc"
_PUBLISHERS = {
    "docker-proxy": "docker",
    "rootlesskit": "docker",
    "rootlessport": "podman",
    "conmon": "podman",
    "pasta": "podman",
}
"""Programs that listen for a container with a network of its own, by their names."""

_ENGINES = ("docker", "podman")
CLIENTS = ("docker", "podman", "nerdctl")
"""Programs that start a container and wait for it."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORT = 12
_CLIMBS = 16
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def container(pid: int, proc: str = "/proc") -> dict[str, Any] | None:
    """Find the container that a process runs in, or that it listens for.

    None outside of any, and in the one that this runs in.
    """
    publishes = _PUBLISHERS.get(procfs.comm(pid, proc))
    if publishes:
        return {"runtime": publishes, "name": "", "user": procfs.user(pid, proc), "service": None}
    path = services.group(pid, proc)
    found = _seen(path)
    if found is None:
        return _untold(pid, proc)
    # What shares our own container is ended from in here like any other process.
    if found == _seen(services.group("self", proc)):
        return None
    kept = container_engine.kept(found.name) if found.runtime in _ENGINES else None
    client = _client(pid, kept.name if kept else "", proc)
    told = _told(kept, proc) if kept else {}
    service = services.of_path(path[: found.at]) or client.get("service")
    return {
        "runtime": found.runtime,
        "name": client.get("name") or _unescaped(found.name),
        "user": services.user(path) or "root",
        **told,
        "service": service or told.get("service"),
    }


def _untold(pid: int, proc: str) -> dict[str, Any] | None:
    """Find the container of a process whose control group tells of none: its first process does.

    podman makes such where it may make no control groups.
    """
    if not _sees_other_files(pid, proc):
        return None
    one = container_engine.holding([pid, *ancestors(pid, proc)])
    if one is None:
        return None
    return {"runtime": one.runtime, "user": "root", **_told(one, proc)}


def _sees_other_files(pid: int, proc: str) -> bool:
    try:
        return os.stat(f"{proc}/{pid}/ns/mnt").st_ino != os.stat(f"{proc}/self/ns/mnt").st_ino
    except OSError:
        return False


def ancestors(pid: int, proc: str = "/proc") -> list[int]:
    """List what started a process, and what started that, as far up as is usual."""
    found: list[int] = []
    one = procfs.process(pid, proc)
    while one is not None and one.parent > 1 and len(found) < _CLIMBS:
        found.append(one.parent)
        one = procfs.process(one.parent, proc)
    return found


def _told(one: KeptContainer, proc: str) -> dict[str, Any]:
    """Tell what its engine says of a container, and which service's compose program starts it."""
    service = compose_client.service(one, proc)
    return {"name": one.name, "policy": one.policy, "engine": one.socket, "service": service}


class _Seen(NamedTuple):
    """What a control group tells of its container, and where in its path that begins."""

    runtime: str
    name: str
    at: int


def _seen(path: str) -> _Seen | None:
    for runtime, pattern in _RUNTIMES:
        match = pattern.search(path)
        if match:
            return _Seen(_keeper(runtime, match[1]), match[1], match.start())
    return None


def _keeper(runtime: str, name: str) -> str:
    """Name what keeps a container of a runtime."""
    is_proxmox = runtime == "LXC" and os.path.isfile(f"{_OF_PROXMOX}/{name}.conf")
    return _PROXMOX if is_proxmox else runtime


def _unescaped(name: str) -> str:
    """Write a name as commands take it: a digest in short, any other without systemd's escapes."""
    return name[:_SHORT] if _DIGEST.fullmatch(name) else _ESCAPE.sub(_character, name)


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


def _client(pid: int, name: str, proc: str) -> dict[str, Any]:
    """Find the service in which `docker run` or `docker start` waits, and the name that it gave.

    `name` is that of the container, empty where that is not known. {} where none is seen.
    """
    started = procfs.argv(pid, proc)
    for other in procfs.pids(proc):
        typed = procfs.argv(other, proc)
        if _is_client(typed) and (_ends_with(typed, started) or _starts(typed, name)):
            return {"service": services.service(other, proc), "name": _named(typed)}
    return {}


def run_by(client: int, proc: str = "/proc") -> list[int]:
    """List the processes of the container that a client waits for, none of any other program."""
    typed = procfs.argv(client, proc)
    if not _is_client(typed):
        return []
    mains = [pid for pid in procfs.pids(proc) if _is_run_by(typed, pid, proc)] or _started(typed)
    return [pid for main in mains for pid in (main, *procfs.offspring(main))]


def _is_run_by(typed: list[str], pid: int, proc: str) -> bool:
    is_inside = _seen(services.group(pid, proc)) is not None
    return is_inside and _ends_with(typed, procfs.argv(pid, proc))


def _started(typed: list[str]) -> list[int]:
    """Find the first process of the container that a client started by its name."""
    kept = container_engine.kept(typed[-1]) if _starts(typed, typed[-1]) else None
    pid = int(kept.seen["State"]["Pid"]) if kept else 0
    return [pid] if pid else []


def _starts(typed: list[str], name: str) -> bool:
    """Whether a client started a container that existed already, and waits for its end."""
    return bool(name) and typed[-1] == name and "start" in typed[1:-1]


def _ends_with(typed: list[str], started: list[str]) -> bool:
    """Whether the words of a client end with those of a process, but for its program."""
    # A script has its interpreter before it.
    ends = (started[1:], started[2:])
    return any(end and typed[-len(end) :] == end for end in ends)


def _is_client(words: list[str]) -> bool:
    return any(os.path.basename(word) in CLIENTS for word in words[:2])


def _named(words: list[str]) -> str:
    """Find the name that a command line gives to a container, "" without one."""
    # The first: what follows is the command line of the container's own program.
    names = procfs.values(words, "--name")
    return names[0] if names else ""
