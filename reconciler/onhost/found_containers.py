"""The containers of a host, with what a model could be made of: flags, files, port, policy.

Nothing secret is told.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from reconciler.onhost import (
    compose_labels,
    container_engine,
    docker_container,
    places,
    procfs,
    servers,
)
from reconciler.onhost.places import NotMounted, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.onhost.container_engine import KeptContainer

_HOST = "host"

Found = dict[str, Any]


def found(serving: Iterable[Found], sockets: Iterable[str] = ()) -> list[Found]:
    """Describe every container that an engine tells of.

    `serving` are the servers of the host, `sockets` those of engines at unusual places.
    """
    serving = [one for one in serving if one["container"]]
    return [_described(one, _in(one, serving)) for one in container_engine.every(sockets)]


def _in(one: KeptContainer, serving: Iterable[Found]) -> list[Found]:
    return [server for server in serving if _is_in(server["container"], one.name, one.socket)]


def _is_in(inside: Found, name: str, socket: str) -> bool:
    return (inside["name"], inside.get("engine")) == (name, socket)


def _described(one: KeptContainer, serving: list[Found]) -> Found:
    seen = one.seen
    config, settings = seen["Config"], seen["HostConfig"]
    labels = config["Labels"]
    program = servers.program_of([seen["Path"], *seen["Args"]], _variables(config))
    flags = servers.without_secrets(program.flags) if program else []
    inside = servers.told_port(flags)
    published = _published(settings.get("PortBindings") or {}, inside)
    return {
        "name": one.name,
        "socket": one.socket,
        "runtime": one.runtime,
        "image": config["Image"],
        "running": docker_container.runs(seen),
        "serves": bool(program or serving),
        "flags": flags,
        "variables": servers.settings(_variables(config)),
        "files": files(_paths(flags, serving), _place(one)),
        "network": _HOST if settings["NetworkMode"] == _HOST else _own(published),
        "port": published or inside,
        "policy": one.policy,
        "removed": bool(settings["AutoRemove"]),
        "model": _model(labels.get(docker_container.LABEL, "")),
        **_composed(labels),
    }


def _composed(labels: Mapping[str, str]) -> Found:
    """Tell which service of a compose project a container is, {} where it is none."""
    if compose_labels.is_oneoff(labels):
        return {}
    files = compose_labels.files(labels)
    is_there = len(files) == 1 and os.path.isfile(files[0])
    return {
        "project": labels.get(compose_labels.PROJECT, ""),
        "service": labels.get(compose_labels.SERVICE, ""),
        "project_file": files[0] if is_there else "",
    }


def _own(published: int) -> str:
    return "published" if published else "own"


def _model(mark: str) -> Any:  # noqa: ANN401 - as the mark has it
    """Find which model of ours a container was made for, None for any other's."""
    read = procfs.parse_mark(mark) if mark else None
    return read["model"] if read else None


def _variables(config: dict[str, Any]) -> dict[str, str]:
    pairs = (one.partition("=") for one in config.get("Env") or ())
    return {name: value for name, _, value in pairs}


def _published(bindings: dict[str, Any], inside: int) -> int:
    """Find the port of the host that leads to one of a container, 0 without one."""
    found = [one["HostPort"] for one in bindings.get(f"{inside}/tcp") or ()]
    return int(found[0]) if found and found[0].isdecimal() else 0


def _place(one: KeptContainer) -> Place:
    mounts = [(each["Destination"], each.get("Source", "")) for each in one.seen["Mounts"]]
    return Place(one.name, mounts, "")


def _paths(flags: list[str], serving: list[Found]) -> list[str]:
    """List the words that may be paths: of its flags, and what its servers have in memory."""
    return [*flags, *(word for each in serving for word in (*each["flags"], *each["mapped"]))]


def files(words: list[str], place: Place) -> list[dict[str, str]]:
    """List the files that words of a container name, by their paths in and outside."""
    parts = (word.partition("=")[2] if word.startswith("--") else word for word in words)
    paths = dict.fromkeys(path for path in parts if path.startswith("/"))
    return [{"inside": path, "outside": _outside(path, place)} for path in paths]


def _outside(path: str, place: Place) -> str:
    """Find a path of a container on its host, "" where it is on no mount."""
    try:
        return places.on_host(path, place)
    except NotMounted:
        return ""


def as_reached(server: Found, containers: Iterable[Found]) -> Found:
    """Describe a server in a container that is told of by the port of the host."""
    inside = server["container"]
    kept = (one for one in containers if inside and _is_in(inside, one["name"], one["socket"]))
    one = next(kept, None)
    return {**server, "port": one["port"], "model": one["model"]} if one else server
