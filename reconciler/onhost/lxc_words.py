"""What the two keepers of LXC's containers are told, and how they are spoken of."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import NamedTuple

from reconciler.onhost import commands, procfs, services
from reconciler.onhost.problem import HostProblem

HA_SECONDS = 240.0
"""How long the cluster of Proxmox VE may take to do what it was asked for."""

_FOLDER = "/var/lib/lxc"
_OF_PROXMOX = "/etc/pve/lxc"
_HA = "/etc/pve/ha/resources.cfg"
_SOCKETS, _SOCKETS_LIMIT = "/proc/net/unix", 16 * 1024 * 1024
_NAME_LIMIT = 100
_HA_LIMIT = 1024 * 1024
_ERROR = re.compile(r" ERROR +\S+ - \S+:\d+ - (.+)")
_GROUP = re.compile(r".*?/lxc(?:\.payload\.|/)[^/]+")


class Keeper(NamedTuple):
    """How one container is asked for and spoken of.

    `file` says how it is made, `own` is what LXC reads, which need not be there yet; `letting_be`
    keeps it down when its host boots. The path of a log follows `logging`, where it takes one, and
    a number of seconds `shutdown`.
    """

    name: str
    what: str
    file: str
    own: str
    option: str
    listing: str
    aloud: str
    on_host: str
    letting_be: str
    start: list[str]
    logging: list[str]
    shutdown: list[str]
    kill: list[str]
    is_proxmox: bool

    @property
    def is_requested(self) -> bool:
        """Whether a cluster does what it is asked for, when it comes to it (HA)."""
        return self.is_proxmox and _is_managed(self.name)


def keeper(one: dict[str, str]) -> Keeper:
    """Find how a container is asked for; raise HostProblem where its keeper cannot be asked."""
    name = one["name"]
    own = f"{_folder()}/{name}/config"
    return _of_lxc(name, own) if one["keeper"] == "lxc" else _of_proxmox(name, own)


def _of_lxc(name: str, own: str) -> Keeper:
    return Keeper(
        name=name,
        what=f"container {name}",
        file=own,
        own=own,
        option="name",
        listing="`lxc-ls`",
        aloud=f"`lxc-start -F -n {name}`",
        on_host="`lxc.net.0.type = none`",
        # A file that is newer than its init is taken for another definition.
        letting_be=f"`lxc.start.auto = 0` in {own}, written while it is stopped",
        start=["lxc-start", "-n", name],
        logging=["-l", "ERROR", "-o"],
        shutdown=["lxc-stop", "-n", name, "--nokill", "-t"],
        kill=["lxc-stop", "-n", name, "-k"],
        is_proxmox=False,
    )


def _of_proxmox(name: str, own: str) -> Keeper:
    # Without it nothing is known of containers that may well run.
    if not os.path.isdir(_OF_PROXMOX):
        raise HostProblem(
            f"there is no {_OF_PROXMOX} on this host: it is no node of Proxmox VE, or its"
            " configuration is not mounted (`systemctl status pve-cluster`)"
        )
    return Keeper(
        name=name,
        what=f"CT {name}",
        file=f"{_OF_PROXMOX}/{name}.conf",
        own=own,
        option="ct",
        listing="`pct list`",
        aloud=f"`pct start {name} --debug`",
        on_host="`lxc.net.0.type: none` in place of each net0:",
        letting_be=f"`pct set {name} --onboot 0`",
        start=["pct", "start", name],
        logging=[],
        shutdown=["pct", "shutdown", name, "--timeout"],
        kill=["pct", "stop", name],
        is_proxmox=True,
    )


def _is_managed(name: str) -> bool:
    """Whether the cluster of Proxmox VE starts and stops a container (HA)."""
    text = procfs.text(_HA, _HA_LIMIT)
    # A section is a line with its kind and name, then indented lines of a key and a value.
    sections = [section.split() for section in re.split(r"^(?=\S)", text, flags=re.MULTILINE)]
    mine = [words for words in sections if words[:2] == ["ct:", name]]
    return any(("state", "ignored") not in zip(words, words[1:]) for words in mine)


@lru_cache(maxsize=1)
def _folder() -> str:
    """Ask where LXC keeps its containers."""
    try:
        return commands.run(["lxc-config", "lxc.lxcpath"], 10.0).out.strip() or _FOLDER
    except (OSError, commands.Late):
        return _FOLDER


def is_monitored(name: str) -> bool:
    """Whether a process of LXC's may answer for a container, as one does while it runs."""
    at = f"@{_folder()}/{name}/command"
    try:
        with open(_SOCKETS, "rb") as file:
            listed = file.read(_SOCKETS_LIMIT)
    except OSError:
        return True
    # One whose path is too long has another name, and a list that was cut is no list.
    is_told = len(at) < _NAME_LIMIT and len(listed) < _SOCKETS_LIMIT
    return not is_told or os.fsencode(at) in listed.split()


def group(pid: int) -> str:
    """Find the control group of the container that a process runs in, "" without one."""
    found = _GROUP.match(services.group(pid))
    return found[0] if found else ""


def first_error(log: str) -> str:
    """Find what went wrong first in a log of LXC's, "" where nothing did."""
    found = _ERROR.search(log)
    return found[1] if found else ""


def missing(program: str) -> str:
    """Say that a program is not there."""
    owner = "it is no node of Proxmox VE" if program == "pct" else "LXC is not installed"
    return (
        f"there is no {program} on this host: {owner}, or it is not on the PATH; install it, or"
        " give the model another launcher: in inventory.yaml"
    )
