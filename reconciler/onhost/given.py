"""What a unit that exists already runs: the words of a service or a container, as it reads them.

Of what runs they are seen; of what does not, they are what its keeper would start.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from reconciler.onhost import (
    containers,
    docker,
    exec_start,
    inner_systemd,
    lxc,
    lxc_words,
    procfs,
    service_container,
)
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.onhost.exec_start import ExecStart

_FLAGS = "LLAMA_ARG_"
_SET = "lxc.environment"
_ROOT = ("", "0", "root")


def of_container(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer what a container runs, or that there is none."""
    name, seen = request["name"], docker.inspected(request)
    if seen is None:
        return {"absent": True, "problem": f"there is no container {name}"}
    config = seen["Config"]
    set_here = dict(word.partition("=")[::2] for word in config["Env"] or [])
    return {
        "words": [seen["Path"], *seen["Args"]],
        "variables": _of_flags(set_here),
        "directory": config["WorkingDir"] or "/",
        "reached": [one["Destination"] for one in seen["Mounts"] if one.get("Source")],
        "read_only": [one["Destination"] for one in seen["Mounts"] if not one.get("RW", True)],
        "user": _other(config["User"].partition(":")[0]),
        "apart": seen["HostConfig"]["NetworkMode"] != "host",
        "pid": int(seen["State"]["Pid"]),
        "adding": f"make container {name} again with these words at the end of its command: `",
    }


def of_lxc(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer what a container of LXC runs; raise HostProblem where there is none."""
    keeper = lxc_words.keeper(request)
    file = lxc.file_of(keeper)
    if file is None:
        raise HostProblem(f"there is no {keeper.what}")
    one = lxc.init_of(keeper)
    seen = _running(one["pid"], "") if one else None
    set_here = dict(value.partition("=")[::2] for key, value in file.keys if key == _SET)
    words = shlex.split(file.value("lxc.init.cmd"))
    return {
        "words": words,
        "problem": "" if words or seen else f"{keeper.what} has stopped, and its init is its own",
        "variables": _of_flags(set_here),
        "directory": file.value("lxc.init.cwd") or "/",
        "reached": [mounted for mounted, source in file.mounts if source],
        "apart": bool(file.network),
        "adding": f"add to the end of lxc.init.cmd in {file.path} `",
        **(seen or {}),
    }


def of_service(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer what a service runs, or the container that it makes, and how it is added to."""
    name, scope = request["name"], request["scope"]
    started = exec_start.read(name, scope)
    if started is None:
        return {"problem": f"{name} runs nothing"}
    if request.get("container"):
        return _of_made(started)
    client = os.path.basename(started.written[0])
    if client in containers.CLIENTS:
        return {"problem": f"{name} runs a container ({client}); {_told(client, scope)}"}
    beside = {
        "directory": started.state["WorkingDirectory"].lstrip("!-") or "/",
        "user": "" if scope == "user" else _other(started.state["User"]),
        "adding": started.adding,
    }
    try:
        pid = int(started.state["MainPID"] or 0)
        seen = _running(pid, started.written[0]) or _next(started)
    except OSError as error:
        return {**beside, "problem": f"{error.filename}, its environment, cannot be read"}
    return {**beside, **seen}


def _told(client: str, scope: str) -> str:
    """Say how it becomes known what runs in the container of a service."""
    if service_container.is_client(client) and not inner_systemd.container(scope):
        return "write `container: true` beside its launcher"
    return "let the model be a container that exists, with `launcher: docker`"


def _of_made(started: ExecStart) -> dict[str, Any]:
    try:
        made = service_container.made(started)
    except HostProblem as problem:
        return {"problem": str(problem), "reached": []}
    user = "" if started.scope == "user" and made.user in _ROOT else _other(made.user)
    return {
        "words": made.words,
        "variables": made.flags,
        "directory": made.directory,
        "reached": [mounted for mounted, source in made.mounts if source],
        "user": user,
        "apart": made.apart,
        "adding": started.adding,
    }


def _running(pid: int, path: str) -> dict[str, Any] | None:
    """Describe what runs now, None where nothing does or its environment is hidden."""
    words, variables = procfs.argv(pid) if pid else [], procfs.environment(pid) if pid else {}
    if not words or not variables:
        return None
    # A name without a slash was found on systemd's own path.
    words[0] = words[0] if "/" in words[0] else path or words[0]
    return {"words": words, "variables": _of_flags(variables)}


def _next(started: ExecStart) -> dict[str, Any]:
    """Describe what the next start would run; raise OSError for an environment that is hidden."""
    words, variables = started.expanded()
    return {"words": words, "variables": _of_flags(variables)}


def _of_flags(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(_FLAGS)}


def _other(user: str) -> str:
    """Name the user whose files a unit writes, "" where that is ours or keeps nothing from us."""
    uid = os.geteuid()
    if uid == 0 or user in (procfs.account(uid), str(uid)):
        return ""
    return "root" if user in _ROOT else user
