"""Where a container in a network of its own is reached, and whether it listens there.

Its network is seen through its first process, whose sockets /proc shows to everybody.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from reconciler.onhost import docker, lxc, lxc_words, origins, ports, procfs, sockets
from reconciler.onhost.problem import HostProblem

LOOPBACK = "127.0.0.1"
_IPV4 = re.compile(r"[\d.]+")
_TABLES = ("tcp", "tcp6")
_OWN_LOOPBACK = (b"0100007F", b"00000000000000000000000001000000")
"""127.0.0.1 and ::1, as the kernel writes them."""


class Network(NamedTuple):
    """The network of a container that runs: a process in it, and an address that leads there."""

    pid: int
    address: str


def owner(inside: dict[str, str], port: int) -> dict[str, Any]:
    """Answer who listens on a port of a container, as `ports.owner` does of the host's."""
    network = _found(inside)
    listening = sockets.among(_rows(network.pid), port) if network else []
    if network is None or not listening:
        return {"owner": None}
    # Where that is hidden, the container's first process stands for all in it.
    pid = ports.holder(listening) or network.pid
    found = {"pid": pid, "name": procfs.comm(pid), "model": None, "user": "", **origins.origin(pid)}
    return {"owner": found}


def door(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer the address of a port of a container; raise HostProblem where none leads there."""
    return {"address": address(request["inside"], int(request["port"]))}


def address(inside: dict[str, str], port: int) -> str:
    """Find where a port of a container is reached; raise HostProblem where it is not."""
    network, name = _found(inside), inside["name"]
    if network is None:
        raise HostProblem(f"container {name} does not run")
    places = _places(network.pid, port)
    if places and all(place in _OWN_LOOPBACK for place in places):
        raise HostProblem(
            f"what runs in container {name} listens on the loopback of its own network; give it"
            " `--host 0.0.0.0`"
        )
    if not network.address:
        raise HostProblem(
            f"container {name} has no address that leads to its port {port}; publish the port, and"
            " leave `network: own` out"
        )
    return network.address


def _found(inside: dict[str, str]) -> Network | None:
    """Find the network of a container that runs; raise HostProblem where that is the host's."""
    network = _NETWORKS[inside["kind"]](inside)
    # All that listens on the host would be taken for the container's.
    if network is not None and _space(network.pid) == _space("self") != "":
        raise HostProblem(
            f"container {inside['name']} is on the host's network; leave `network: own` out"
        )
    return network


def _space(pid: int | str) -> str:
    """Name the network that a process is in, "" where that is hidden."""
    return procfs.link(f"/proc/{pid}/ns/net")


def _places(pid: int, port: int) -> list[bytes]:
    """List the local addresses at which a process's network listens on a port."""
    rows = [row for row in _rows(pid) if sockets.among([row], port)]
    return [row.split()[1].partition(b":")[0] for row in rows]


def _rows(pid: int) -> list[bytes]:
    return [row for table in _TABLES for row in sockets.rows(f"/proc/{pid}/net/{table}")]


def _of_docker(inside: dict[str, str]) -> Network | None:
    seen = docker.inspected(inside)
    pid = int(seen["State"]["Pid"]) if seen else 0
    if seen is None or pid <= 1:
        return None
    networks = (seen.get("NetworkSettings") or {}).get("Networks") or {}
    addresses = [one["IPAddress"] for one in networks.values() if one.get("IPAddress")]
    return Network(pid, next(iter(addresses), ""))


def _of_lxc(inside: dict[str, str]) -> Network | None:
    name = inside["name"]
    init = lxc.init_of(lxc_words.keeper({"name": name, "keeper": inside["kind"]}))
    if init is None:
        return None
    addresses = [one for one in lxc.addresses(name) if _IPV4.fullmatch(one)]
    return Network(init["pid"], next(iter(addresses), ""))


_NETWORKS = {"docker": _of_docker, "lxc": _of_lxc, "pct": _of_lxc}
"""What tells of the network of a container, by its kind."""
