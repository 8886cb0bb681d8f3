"""The systemd of a container of LXC: how it is asked, and what it says, as its host has it.

Where the scope of a service is written, `lxc:NAME` stands for it. It counts processes and names
files as they are inside; seen with systemd 252 in lxc 5.0.2.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from reconciler.onhost import groups, lxc, procfs, services
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from reconciler.onhost.properties import State

_BOOTED = "/run/systemd/system"
_SCOPE = "lxc:"
_OWN_GROUP = "/init.scope"
_PIDS = re.compile(r"^NSpid:(.*)$", re.MULTILINE)
_FILES = ("FragmentPath", "DropInPaths", "EnvironmentFiles")
_GENERATED = "/run/"


def scope(name: str) -> str:
    """Write the scope of a container's services."""
    return _SCOPE + name


def container(scope: str) -> str:
    """Name the container of a scope, "" of one of the host's own."""
    return scope.removeprefix(_SCOPE) if scope.startswith(_SCOPE) else ""


def is_booted(init: int) -> bool:
    """Whether a container was booted by a systemd, by what sd_booted(3) goes by."""
    return os.path.isdir(f"{procfs.root(init)}{_BOOTED}")


def entering(scope: str) -> list[str]:
    """The words before a command that is run where a scope is."""
    name = container(scope)
    return ["lxc-attach", "-n", name, "--"] if name else []


def as_seen_outside(state: State, scope: str) -> State:
    """Write processes, control group and files of a service as its host has them."""
    name = container(scope)
    if not name:
        return state
    init = lxc.init_pid(name)
    if not init:
        raise HostProblem(f"container {name} stopped while it was asked for its services")
    # A service that never ran has none, and so nothing runs of it.
    told = state["ControlGroup"]
    group = services.group(init).removesuffix(_OWN_GROUP) + told if told else ""
    return {
        **state,
        "ControlGroup": group,
        "MainPID": str(_outer(int(state["MainPID"] or 0), init, group)),
        **{name: _files(state[name], init) for name in _FILES if name in state},
    }


def _outer(pid: int, init: int, group: str) -> int:
    """Find the pid that a process of a container has outside, 0 where there is none."""
    depth = len(_pids(init)) - 1
    seen = (one for one in groups.below(group) if pid in _pids(one)[depth:][:1])
    return next(seen, 0) if pid else 0


def _pids(pid: int) -> list[int]:
    """List the pids that a process has in each namespace, from ours inwards."""
    found = _PIDS.search(procfs.text(f"/proc/{pid}/status"))
    return [int(each) for each in found[1].split()] if found else []


def _files(text: str, init: int) -> str:
    """Name the files of a property as the host has them; each stands on a line, or is a word."""
    return "\n".join(
        " ".join(_file(path, init) for path in line.split(" ")) for line in text.splitlines()
    )


def _file(path: str, init: int) -> str:
    """Name a file of a container as its host reaches it; what is generated tells nothing."""
    is_written = path.startswith("/") and not path.startswith(_GENERATED)
    return procfs.root(init) + path if is_written else path
