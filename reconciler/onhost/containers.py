"""Which container a process runs in, by its control group, and which systemd service runs that container.

Shapes of control groups: those that docker, podman, Kubernetes, LXC and systemd-nspawn make with
either of their drivers (systemd, cgroupfs).
"""

from __future__ import annotations

import os
import re
from typing import Any

from reconciler.onhost import procfs, services

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
_PUBLISHERS = {
    "docker-proxy": "docker",
    "rootlesskit": "docker",
    "rootlessport": "podman",
    "conmon": "podman",
    "pasta": "podman",
}
"""Programs that listen for a container with a network of its own, by their names."""

_CLIENTS = ("docker", "podman", "nerdctl")
_SHORT = 12


def container(pid: int, proc: str = "/proc") -> dict[str, Any] | None:
    """Return the container that a process runs in or listens for, None outside of any, or in the one that this runs in."""
    publishes = _PUBLISHERS.get(
        procfs.read(f"{proc}/{pid}/comm").decode("utf-8", "replace").strip()
    )
    if publishes:
        return {"runtime": publishes, "name": "", "user": procfs.user(pid, proc), "service": None}
    path = services.group(pid, proc)
    found = _seen(path)
    if found is None or found == _seen(services.group("self", proc)):
        return None
    runtime, name, at = found
    client = _client(pid, proc)
    return {
        "runtime": runtime,
        "name": client.get("name") or _unescaped(name),
        "user": services.user(path) or "root",
        "service": services.of_path(path[:at]) or client.get("service"),
    }


def _seen(path: str) -> tuple[str, str, int] | None:
    """Return runtime and name of the container that a control group belongs to, and where in the path that begins."""
    found = ((runtime, pattern.search(path)) for runtime, pattern in _RUNTIMES)
    return next(((runtime, match[1], match.start()) for runtime, match in found if match), None)


def _unescaped(name: str) -> str:
    """Return a name as commands take it: a digest in short, any other without systemd's escapes."""
    if re.fullmatch(r"[0-9a-f]{64}", name):
        return name[:_SHORT]
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), name)


def _client(pid: int, proc: str) -> dict[str, Any]:
    """Return the service in which `docker run` waits for a container, and the name that it gave.

    {} where none is seen.

    Its words end with those of the process that it has started.
    """
    words = procfs.argv(pid, proc)
    ends = [end for end in (words[1:], words[2:]) if end]  # a script has its interpreter before it
    for other in procfs.pids(proc):
        typed = procfs.argv(other, proc)
        is_client = any(os.path.basename(word) in _CLIENTS for word in typed[:2])
        if is_client and any(typed[-len(end) :] == end for end in ends):
            return {"service": services.service(other, proc), "name": _named(typed)}
    return {}


def _named(words: list[str]) -> str:
    """Return the name that a command line gives to a container, "" without one."""
    parts = [part for word in words for part in word.split("=", 1)]
    return next((name for flag, name in zip(parts, parts[1:]) if flag == "--name"), "")
