"""Containers that exist already: seen, started and ended through the API of their engine.

They are told apart by their id and by when they started. Their command line, their restarts and
their signal to end are their own; what runs is their first process and what descends from it.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reconciler.onhost import docker_api, docker_log, ports, process, procfs
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from reconciler.onhost.docker_api import DockerAnswer

PAUSE = 0.02
_SHORT = 12
_HOST = "host"
_OK, _NOT_FOUND = 200, 404
_DONE = (204, 304)
"""A start or stop that was carried out, and one of what is that way already."""

_KILLED = 137
"""The exit code of what SIGKILL ended: 128 and its number."""

Inspected = dict[str, Any]


def containers(request: dict[str, Any], _: str) -> dict[str, Any]:
    """DockerAnswer for each container whether it could be started, and what runs of it."""
    return {"containers": [_container(one) for one in request["containers"]]}


def _container(one: dict[str, str]) -> dict[str, Any]:
    seen = inspected(one)
    unit = _unit(seen) if seen is not None else None
    return {"binary": _binary(one["name"], seen), "unit": unit}


def start(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Start a container and answer its identity; raise HostProblem where it is over at once."""
    name, seen = request["name"], inspected(request)
    problem = _barred(name, seen)
    if problem:
        raise HostProblem(problem)
    answer = _asked(request, "POST", "/start")
    if answer.status not in _DONE:
        raise HostProblem(f"container {name} did not start; dockerd says: {answer.said}")
    seen = inspected(request) or {}
    started = _main(seen) if seen else None
    if started is None:
        why = _ending(seen["State"]) if seen else "it is gone"
        raise HostProblem(
            f"container {name} did not start: {why} before it served; `docker logs {name}` says"
            " more"
        )
    ports.expect(started["pid"])
    return {"identity": started, "at": time.time()}


def stop(request: dict[str, Any], _: str) -> dict[str, Any]:
    """End a container, and what would start it again, if it still is the run that is meant."""
    began, seen = time.monotonic(), inspected(request)
    is_meant = _runs(seen) and _is_of(request["identity"], _invocation(seen))
    rungs = _ended(request) if is_meant else []
    code = _exit_code(inspected(request)) if is_meant else None
    return {"gone": True, "rungs": rungs, "exit_code": code, "seconds": time.monotonic() - began}


def _is_of(identity: dict[str, Any], invocation: str) -> bool:
    """Whether a run of a container is the one that is meant.

    Of one that was waiting to be started again, that is any try since.
    """
    meant = identity["invocation"]
    if identity["pid"]:
        return bool(meant == invocation)
    return bool(meant.partition("@")[0] == invocation.partition("@")[0])


def _ended(request: dict[str, Any]) -> list[str]:
    """Stop a container, kill it when that is not enough, and tell which of both it took."""
    grace, kill = math.ceil(request["grace"]), float(request["kill"])
    # The engine sends KILL by itself when the grace is over.
    _asked(request, "POST", f"/stop?t={grace}", grace + kill)
    if not _is_gone_within(kill, request):
        _asked(request, "POST", "/kill", kill)
        if not _is_gone_within(kill, request):
            raise HostProblem(
                f"container {request['name']} is still there {kill:g} s after SIGKILL; `docker ps"
                f" --filter name={request['name']}` says more"
            )
    return ["term", "kill"] if _exit_code(inspected(request)) == _KILLED else ["term"]


def _is_gone_within(seconds: float, request: dict[str, Any]) -> bool:
    deadline = time.monotonic() + seconds
    while _runs(inspected(request)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE)
    return True


def log(request: dict[str, Any], _: str) -> dict[str, Any]:
    """DockerAnswer the last lines that a container wrote in its newest run, and where they `end`.

    After an earlier end, the first lines since, of any run.
    """
    end, lines = request.get("after", ""), int(request["lines"])
    seen = inspected(request)
    if seen is None:
        return {"lines": [], "end": end}
    since = end or docker_log.begun(seen["State"])
    which = f"&since={docker_log.moment(since)}{'' if end else f'&tail={lines}'}"
    answer = _asked(request, "GET", f"/logs?stdout=1&stderr=1&timestamps=1{which}")
    if answer.status != _OK:
        raise HostProblem(f"there is no log of container {request['name']}: {answer.said}")
    written = docker_log.written(answer.body, since, is_tty=seen["Config"]["Tty"])
    shown = written[:lines] if end else written[-lines:]
    return {"lines": [line for _, line in shown], "end": shown[-1][0] if shown else end}


def _asked(
    one: dict[str, Any], method: str, path: str, seconds: float = docker_api.SECONDS
) -> DockerAnswer:
    place = f"/containers/{quote(one['name'], safe='')}{path}"
    return docker_api.ask(one["socket"], method, place, seconds)


def inspected(one: dict[str, Any]) -> Inspected | None:
    """Look at a container, None where there is none; raise HostProblem when that is refused."""
    answer = _asked(one, "GET", "/json")
    seen = answer.value
    if answer.status == _NOT_FOUND:
        return None
    if answer.status != _OK or not isinstance(seen, dict):
        raise HostProblem(f"dockerd does not tell of container {one['name']}: {answer.said}")
    return seen


def _binary(name: str, seen: Inspected | None) -> dict[str, Any]:
    """Describe what a container runs, as new as the container, and why it cannot be started."""
    created = docker_log.nanoseconds(seen["Created"]) if seen is not None else 0
    path = seen["Config"]["Image"] if seen is not None else name
    return {"path": path, "problem": _barred(name, seen), "modified_ns": created}


def _barred(name: str, seen: Inspected | None) -> str:
    """Tell in words why a container is not started, "" when it would be tried."""
    if seen is None:
        return (
            f"there is no container {name}; make it (`docker create --name {name} --network host"
            " ...`), or name another with container:"
        )
    settings = seen["HostConfig"]
    if settings["NetworkMode"] != _HOST:
        return (
            f"container {name} is not on the host's network but on {settings['NetworkMode']};"
            " make it again with `--network host`"
        )
    if settings["AutoRemove"]:
        return (
            f"container {name} is removed when it ends, and could not be started again; make it"
            " without `--rm`"
        )
    return ""


def _runs(seen: Inspected | None) -> bool:
    """Whether something of a container runs, or its engine will start it again by itself."""
    return seen is not None and bool(seen["State"]["Running"] or seen["State"]["Restarting"])


def _unit(seen: Inspected) -> dict[str, Any] | None:
    """Describe what runs of a container; None when nothing does and nothing will by itself."""
    if not _runs(seen):
        return None
    main = _main(seen)
    return {
        "identity": main or _no_process(seen),
        "members": sorted({main["pid"], *procfs.offspring(main["pid"])}) if main else [],
        "leader": main is not None,
        "restarts": int(seen["RestartCount"]),
        "argv": procfs.argv(main["pid"]) if main else [],
        "ended": "" if main else _ending(seen["State"]),
        **_times(procfs.process(main["pid"]) if main else None),
    }


def _times(one: procfs.Process | None) -> dict[str, Any]:
    """Tell since when a container's first process runs."""
    if one is None:
        return {"uptime": 0.0, "started_at": None}
    uptime = procfs.age(one)
    # The end of its first tick: what was written just before the start must not seem newer.
    return {
        "uptime": max(0.0, uptime),
        "started_at": time.time() - uptime + 1 / procfs.ticks(),
    }


def _main(seen: Inspected) -> dict[str, Any] | None:
    """Identify a container's first process, None when it has none."""
    pid = int(seen["State"]["Pid"])
    # Between two tries of its restart policy a container says that it runs, and has no process.
    one = process.identity(pid) if pid > 1 else None
    return {**one, "invocation": _invocation(seen)} if one else None


def _no_process(seen: Inspected) -> dict[str, Any]:
    """Make the identity of a container that has no process at this moment."""
    none = {"pid": 0, "start": 0, "inode": 0, "boot_id": procfs.boot_id()}
    return {**none, "invocation": _invocation(seen)}


def _invocation(seen: Inspected | None) -> str:
    """Name one run of a container."""
    return f"{seen['Id'][:_SHORT]}@{seen['State']['StartedAt']}" if seen is not None else ""


def _exit_code(seen: Inspected | None) -> int | None:
    return int(seen["State"]["ExitCode"]) if seen is not None else None


def _ending(state: dict[str, Any]) -> str:
    """Tell how a container's program ended, as a clause."""
    if state["OOMKilled"]:
        return "the kernel ended it because memory ran out"
    if state["Error"]:
        return f"dockerd could not run it ({' '.join(state['Error'].split())})"
    return f"it ended with status {state['ExitCode']}"
