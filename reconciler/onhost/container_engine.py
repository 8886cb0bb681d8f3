"""The engines that keep this host's containers, and what they tell of one by its id or name."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from reconciler.onhost import docker_api, docker_dialect, docker_inspected, docker_sockets, files
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS = 3.0
CONTAINERS_LIMIT = 100
_LOCAL = "unix://"
_OK = 200

Inspected = dict[str, Any]


class KeptContainer(NamedTuple):
    """A container, the socket of the engine that keeps it, and the program that asks that."""

    socket: str
    seen: Inspected
    runtime: str

    @property
    def name(self) -> str:
        """What the commands of its engine call it."""
        return str(self.seen["Name"]).lstrip("/")

    @property
    def policy(self) -> str:
        """When its engine starts it again by itself; "no" for never."""
        return str(self.seen["HostConfig"]["RestartPolicy"]["Name"] or "no")


def sockets(*named: str) -> list[str]:
    """List the sockets that engines listen on here, also those that are named or meant."""
    host = os.environ.get("DOCKER_HOST", "")
    meant = [host[len(_LOCAL) :]] if host.startswith(_LOCAL) else []
    return docker_sockets.there(*meant, *named)


def kept(identifier: str) -> KeptContainer | None:
    """Find a container by its id or name, None where no engine that answers has it."""
    return next((one for place in sockets() if (one := _kept(place, identifier))), None)


def _kept(place: str, identifier: str) -> KeptContainer | None:
    answer = _asked(place, f"/containers/{quote(identifier, safe='')}/json")
    seen = docker_inspected.whole(answer.value) if answer else None
    if answer is None or seen is None:
        return None
    return KeptContainer(place, seen, docker_dialect.of_server(answer.server).command)


def holding(pids: Iterable[int]) -> KeptContainer | None:
    """Find the container whose first process is one of these, None where none is."""
    wanted = set(pids)
    running = (one for one in every() if int(one.seen["State"]["Pid"]) in wanted)
    return next(running, None)


def every(named: Iterable[str] = ()) -> list[KeptContainer]:
    """List what each engine that answers keeps, running or not."""
    return [one for place in sockets(*named) for one in _every(place)]


def _every(place: str) -> list[KeptContainer]:
    answer = _asked(place, "/containers/json?all=1")
    listed = answer.listed if answer else None
    found = (_kept(place, one["Id"]) for one in (listed or ())[:CONTAINERS_LIMIT])
    return [one for one in found if one is not None]


def labelled(place: str, label: str) -> list[Inspected]:
    """List what an engine says of each running container with a label, as `NAME=VALUE`."""
    wanted = quote(json.dumps({"label": [label]}))
    answer = _asked(place, f"/containers/json?filters={wanted}")
    return (answer.listed if answer else None) or []


def _asked(place: str, path: str) -> docker_api.DockerAnswer | None:
    """Ask an engine, None where it refuses or does not answer."""
    try:
        answer = docker_api.ask(place, "GET", path, SECONDS)
    except HostProblem:
        return None
    return answer if answer.status == _OK else None


def engines(named: Iterable[str]) -> list[dict[str, Any]]:
    """Describe every engine of this host, whether it answers or not."""
    usual = _usual()
    return [_described(place, is_usual=place == usual) for place in sockets(*named)]


def _described(place: str, *, is_usual: bool) -> dict[str, Any]:
    usable = os.access(place, os.R_OK | os.W_OK)
    return {
        "socket": place,
        "usual": is_usual,
        "usable": usable,
        "answers": usable and _asked(place, "/_ping") is not None,
        "group": files.group(place),
    }


def _usual() -> str:
    """Find the socket that is meant where none is named, "" where that is not known."""
    try:
        return docker_sockets.found("")
    except HostProblem:
        return ""
