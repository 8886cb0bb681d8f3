"""What the two keepers of LXC's containers are told, and how they are spoken of."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from reconciler.onhost import commands, services

HA_SECONDS = 240.0
"""How long the cluster of Proxmox VE may take to do what it was asked for."""

_FOLDER = "/var/lib/lxc"
_ERROR = re.compile(r" ERROR +\S+ - \S+:\d+ - (.+)")
_GROUP = re.compile(r".*?/lxc(?:\.payload\.|/)[^/]+")


class Keeper(NamedTuple):
    """How one container is asked for and spoken of.

    `file` says how it is made, `own` is what LXC reads, which need not be there yet.
    """

    name: str
    what: str
    file: str
    own: str
    option: str
    listing: str
    aloud: str
    on_host: str
    kill: list[str]
    is_requested: bool = False

    def start(self, errors: str) -> list[str]:
        """The command that starts it; with a path, what goes wrong is written there."""
        logging = ["-l", "ERROR", "-o", errors] if errors else []
        return ["lxc-start", "-n", self.name, *logging]

    def shutdown(self, seconds: int) -> list[str]:
        """The command that ends it in its own way, and waits for that."""
        return ["lxc-stop", "-n", self.name, "--nokill", "-t", str(seconds)]


def keeper(one: dict[str, str]) -> Keeper:
    """Find how a container is asked for."""
    name = one["name"]
    own = f"{_folder()}/{name}/config"
    return Keeper(
        name=name,
        what=f"container {name}",
        file=own,
        own=own,
        option="name",
        listing="`lxc-ls`",
        aloud=f"`lxc-start -F -n {name}`",
        on_host="`lxc.net.0.type = none`",
        kill=["lxc-stop", "-n", name, "-k"],
    )


@lru_cache(maxsize=1)
def _folder() -> str:
    """Ask where LXC keeps its containers."""
    try:
        return commands.run(["lxc-config", "lxc.lxcpath"], 10.0).out.strip() or _FOLDER
    except (OSError, commands.Late):
        return _FOLDER


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
    return f"there is no {program} on this host: LXC is not installed"
