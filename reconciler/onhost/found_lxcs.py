"""What keeps the servers in containers of LXC: the container as a whole, or a service in it.

Nothing secret is told, and nothing at all to another account than root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.onhost import (
    containers,
    found_containers,
    inner_systemd,
    lxc,
    lxc_words,
    procfs,
    servers,
    services,
    systemctl,
)
from reconciler.onhost.places import Place
from reconciler.onhost.problem import HostProblem, Objection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.onhost.lxc_files import LxcFile
    from reconciler.onhost.lxc_words import Keeper

_KEEPERS = {"LXC": "lxc", "Proxmox VE": "pct"}
_SYSTEMD = "systemd"
_EPHEMERAL = "lxc.ephemeral"
_ON = "1"

Found = dict[str, Any]


def found(serving: Iterable[Found], proc: str = "/proc") -> list[Found]:
    """Describe what starts each server in a container of LXC, by the server's pid.

    What nothing in its container starts again is left out, as is what a service of the host runs.
    """
    told = (_told(one, proc) for one in serving if _is_inside(one["container"]))
    return [one for one in told if one is not None]


def _is_inside(container: Found | None) -> bool:
    if container is None or container["service"]:
        return False
    return container["runtime"] in _KEEPERS


def _told(server: Found, proc: str) -> Found | None:
    try:
        return _described(server, proc)
    except HostProblem:
        return None


def _described(server: Found, proc: str) -> Found | None:
    inside, pid = server["container"], server["pid"]
    kind = _KEEPERS[inside["runtime"]]
    keeper = lxc_words.keeper({"name": inside["name"], "keeper": kind})
    file, init = lxc.file_of(keeper), lxc.init_of(keeper)
    if file is None or init is None or file.value(_EPHEMERAL) == _ON:
        return None
    service = _service(pid, proc)
    if not service and not _comes_with(init["pid"], pid, proc):
        return None
    words = [*server["flags"], *server["mapped"]]
    return {
        "pid": pid,
        "kind": kind,
        "name": keeper.name,
        "service": service,
        "whole": pid == init["pid"],
        "network": "own" if file.network else "host",
        "boots": _boots(keeper, file, service).parts,
        "files": found_containers.files(words, Place(keeper.name, file.mounts, file.root)),
    }


def _service(pid: int, proc: str) -> str:
    """Find which service of its container's system a process is, "" for none."""
    one = services.service(pid, proc)
    return one["name"] if one and one["scope"] == "system" else ""


def _comes_with(init: int, pid: int, proc: str) -> bool:
    """Whether a process is started whenever its container is, as far as that can be seen."""
    # Under a systemd, what is no service was typed, or is a user's.
    is_below = init in containers.ancestors(pid, proc) and procfs.comm(init, proc) != _SYSTEMD
    return pid == init or is_below


def _boots(keeper: Keeper, file: LxcFile, service: str) -> Objection:
    """Tell what starts a container, and so what is in it, when its host boots."""
    whole = lxc.autostart(keeper, file)
    if not (whole and service):
        return whole
    found = f"{whole.found}, and {service} with it where it is enabled there"
    scope = inner_systemd.scope(keeper.name)
    return Objection(found, systemctl.typed(scope, "disable", service))


def as_reached(server: Found, units: Iterable[Found], proc: str = "/proc") -> Found:
    """Describe a server in a container that is told of by its folder there, and by its port."""
    pid = server["pid"]
    one = next((unit for unit in units if unit["pid"] == pid), None)
    if one is None:
        return server
    port = servers.port_inside(pid, proc) if one["network"] == "own" else server["port"]
    return {**server, "directory": procfs.link(f"{proc}/{pid}/cwd"), "port": port}
