"""Containers that exist already: seen, started and ended through the API of their engine.

They are told apart by their id and by when they started. Their command line, their restarts and
their signal to end are their own; what runs is their first process and what descends from it.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from reconciler.onhost import docker_log, docker_ports, ports
from reconciler.onhost.docker_container import (
    HeldContainer,
    Inspected,
    exit_code,
    first_process,
    invocation,
    is_marked,
    runs,
)
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, Objection

if TYPE_CHECKING:
    from reconciler.onhost.docker_dialect import Dialect

PAUSE = 0.02
_OK = 200
_DONE = (204, 304)
"""A start or stop that was carried out, and one of what is that way already."""

_TAIL = 500
"""So many lines at least are asked for, so that those of the last second can be counted."""

_KILLED = 137
"""The exit code of what SIGKILL ended: 128 and its number."""


def containers(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer for each container whether it could be started, and what runs of it."""
    return {"containers": [_container(HeldContainer(one)) for one in request["containers"]]}


def _container(one: HeldContainer) -> dict[str, Any]:
    seen = one.inspected()
    unit = one.unit(seen) if seen is not None else None
    ports = docker_ports.led_from(seen) if seen is not None else None
    return {"binary": _binary(one, seen), "unit": unit, "ports": ports}


def inspected(one: dict[str, Any]) -> Inspected | None:
    """Look at a container, None where there is none; raise HostProblem when that is refused."""
    return HeldContainer(one).inspected()


def start(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Start a container and answer its identity; raise HostProblem where it is over at once."""
    one = HeldContainer(request)
    problem = _barred(one.name, one.inspected(), one.dialect)
    if problem:
        raise HostProblem(problem)
    return begin(one)


def begin(one: HeldContainer) -> dict[str, Any]:
    """Start what is there, and answer its identity."""
    answer = one.ask("POST", "/start")
    if answer.status not in _DONE:
        raise HostProblem(
            f"container {one.name} did not start; {one.dialect.daemon} says: {answer.said}"
        )
    seen = one.inspected()
    started = first_process(seen) if seen else None
    if started is None:
        why = one.ending(seen["State"]) if seen else "it is gone"
        raise HostProblem(
            f"container {one.name} did not start: {why} before it served;"
            f" `{one.dialect.command} logs {one.name}` says more"
        )
    ports.expect(started["pid"])
    return {"identity": started, "at": time.time()}


def stop(request: dict[str, Any], _: str) -> dict[str, Any]:
    """End a container, and what would start it again, if it still is the run that is meant."""
    began, one = time.monotonic(), _meant(request)
    seen = one.inspected()
    is_meant = runs(seen) and _is_of(request["identity"], invocation(seen))
    rungs = _ended(one, math.ceil(request["grace"]), float(request["kill"])) if is_meant else []
    code = exit_code(one.inspected()) if is_meant else None
    return {"gone": True, "rungs": rungs, "exit_code": code, "seconds": time.monotonic() - began}


def _meant(request: dict[str, Any]) -> HeldContainer:
    """Mean a container by its id, which stays when it is renamed."""
    name, identity = request["name"], request["identity"]["invocation"].partition("@")[0]
    return HeldContainer({**request, "name": identity or name}, name)


def _is_of(identity: dict[str, Any], run: str) -> bool:
    """Whether a run of a container is the one that is meant.

    Of one that was waiting to be started again, that is any try since.
    """
    meant = identity["invocation"]
    if identity["pid"]:
        return bool(meant == run)
    return bool(meant.partition("@")[0] == run.partition("@")[0])


def _ended(one: HeldContainer, grace: int, kill: float) -> list[str]:
    """Stop a container, kill it when that is not enough, and tell which of both it took."""
    # The engine sends KILL by itself when the grace is over.
    for end, patience in ((f"/stop?t={grace}", grace + kill), ("/kill", kill)):
        if _is_gone_within(kill, one, end, patience):
            return ["term", "kill"] if exit_code(one.inspected()) == _KILLED else ["term"]
    raise HostProblem(
        f"container {one.name} is still there {kill:g} s after SIGKILL; `{one.dialect.command} ps"
        f" --filter name={one.name}` says more"
    )


def _is_gone_within(seconds: float, one: HeldContainer, end: str, patience: float) -> bool:
    """End a container; again where it was between two tries, of which podman stops none."""
    one.ask("POST", end, patience)
    deadline = time.monotonic() + seconds
    while runs(one.inspected()):
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE)
        one.ask("POST", end, patience)
    return True


def log(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer the last lines that a container wrote in its newest run, and where they `end`.

    After an earlier end, the first lines since, of any run.
    """
    end, lines = request.get("after", ""), int(request["lines"])
    one = HeldContainer(request)
    seen = one.inspected()
    if seen is None:
        return {"lines": [], "end": end}
    by_second, run = one.dialect.tells_seconds, invocation(seen)
    # One of our own has only one run.
    first = seen["Created"] if is_marked(seen) else docker_log.begun(seen["State"])
    span = docker_log.span(first, end, run, by_second=by_second)
    which = f"&since={docker_log.moment(span.since)}{'' if end else f'&tail={max(lines, _TAIL)}'}"
    answer = one.ask("GET", f"/logs?stdout=1&stderr=1&timestamps=1{which}")
    if answer.status != _OK:
        raise HostProblem(f"there is no log of container {one.name}: {answer.said}")
    written = docker_log.written(answer.body, span.after, is_tty=seen["Config"]["Tty"])
    shown = written[:lines] if end else written[-lines:]
    if shown:
        end = docker_log.end_of(shown[-1][0], run, by_second=by_second)
    return {"lines": [line for _, line in shown], "end": end}


def _binary(one: HeldContainer, seen: Inspected | None) -> dict[str, Any]:
    """Describe what a container runs, as new as the container, and why it cannot be started."""
    created = docker_log.nanoseconds(seen["Created"]) if seen is not None else 0
    path = seen["Config"]["Image"] if seen is not None else one.name
    barred = _barred(one.name, seen, one.dialect)
    return {"path": path, "problem": barred.parts, "modified_ns": created}


def _barred(name: str, seen: Inspected | None, dialect: Dialect) -> Objection:
    """Tell in words why a container is not started, "" when it would be tried."""
    if seen is None:
        make = f"`{dialect.command} create --name {name} --network host ...`"
        fix = f"make it ({make}), or name another with container:"
        return Objection(f"there is no container {name}", fix)
    if seen["HostConfig"]["AutoRemove"]:
        gone = f"container {name} is removed when it ends, and could not be started again"
        return Objection(gone, "make it without `--rm`")
    return NO_OBJECTION
