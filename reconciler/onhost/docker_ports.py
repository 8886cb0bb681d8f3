"""Ports of the host that lead to a container in a network of its own.

For each of them a process of the engine listens (docker-proxy, seen with dockerd 20.10), unless
that was told not to (`userland-proxy: false`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.onhost import procfs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HOST = "host"
_PROXY = "docker-proxy"
_LOOPBACK = ("", "0.0.0.0", "127.0.0.1")  # noqa: S104 - where an engine listens, not where we do


def led_from(seen: dict[str, Any]) -> list[int] | None:
    """List the TCP ports of the host's loopback that lead to a container; None: all of them."""
    settings = seen["HostConfig"]
    if settings["NetworkMode"] == _HOST:
        return None
    bound = settings["PortBindings"]
    tcp = [
        one for inside, places in bound.items() if inside.endswith("/tcp") for one in places or ()
    ]
    on_loopback = [one.get("HostPort", "") for one in tcp if one.get("HostIp", "") in _LOOPBACK]
    return sorted(int(port) for port in on_loopback if port.isdecimal())


def listeners(seen: dict[str, Any]) -> Iterator[int]:
    """Yield the processes that listen on the host for a container."""
    networks = (seen.get("NetworkSettings") or {}).get("Networks") or {}
    addresses = {one["IPAddress"] for one in networks.values() if one and one.get("IPAddress")}
    if not led_from(seen) or not addresses:
        return
    for pid in procfs.pids():
        if addresses.intersection(_told(pid, "-container-ip")):
            yield pid


def told(port: int, pids: Iterable[int]) -> int | None:
    """Find among processes the one that listens on a port for a container, by its words."""
    return next((pid for pid in pids if str(port) in _told(pid, "-host-port")), None)


def _told(pid: int, flag: str) -> list[str]:
    return procfs.values(procfs.argv(pid), flag) if procfs.comm(pid) == _PROXY else []
