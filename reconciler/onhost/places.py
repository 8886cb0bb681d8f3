"""Where the paths of a container are on its host: under what is mounted there.

Mounts are configuration, so that they are known of a stopped container too. Those of a running one
would be seen through /proc/PID/root as well, but only by root.
"""

from __future__ import annotations

from posixpath import join, normpath, relpath
from typing import Any, NamedTuple

from reconciler.onhost import compose, docker, docker_owned, lxc, lxc_words, service_container
from reconciler.onhost.problem import HostProblem

_PATHS = ("path", "directory")
_FINGERPRINT = "fingerprint"
_IMAGE = "image"

Request = dict[str, Any]


class Place(NamedTuple):
    """What a container is called, what is mounted in it, and from which image it is.

    Each mount is a path in it and one on the host, "" for what the host has no path for.
    """

    name: str
    mounts: list[tuple[str, str]]
    image: str


class NotMounted(HostProblem):
    """A path of a container that is on no mount."""


def translated(request: Request) -> Request:
    """Write the paths of a request as they are on the host.

    Relative ones are the host's already. Raise HostProblem for one that the host cannot reach.
    """
    inside = request["inside"]
    place = of(inside)
    if place is None:
        return _in_image(request, inside)
    paths = {name: on_host(request[name], place) for name in _PATHS if name in request}
    beside = _of_image(request, place) if request["do"] == _FINGERPRINT else {}
    return {**request, **paths, **beside}


def of(inside: dict[str, str]) -> Place | None:
    """Describe the container that is meant, None for an image: there, all is at its own path."""
    return None if inside["kind"] == _IMAGE else _PLACES[inside["kind"]](inside)


def _in_image(request: Request, inside: dict[str, str]) -> Request:
    """Let an image stand for the programs in it; all else is at its own path."""
    if request["do"] != _FINGERPRINT:
        return request
    image = docker_owned.image_id(inside)
    flags = [*request["flags"], f"image {image}"]
    return {**request, "programs": [], "flags": flags, "image": image}


def on_host(path: str, place: Place) -> str:
    """Find a path of a container on its host: the longest mount above it counts."""
    if not path.startswith("/"):
        return path
    path = normpath(path)
    above = [mount for mount in place.mounts if _is_in(path, mount[0])]
    mounted, source = max(above, key=_depth, default=("", ""))
    if not source:
        raise NotMounted(
            f"{path} lies inside container {place.name}, where it cannot be reached; mount its"
            " folder from the host"
        )
    rest = relpath(path, mounted)
    return source if rest == "." else join(source, rest)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _depth(mount: tuple[str, str]) -> int:
    return len(mount[0])


def _of_image(request: Request, place: Place) -> Request:
    """Write what a saved conversation depends on; what is on no mount is the image's."""
    programs = [one for name in request["programs"] for one in _mounted(name, place)]
    return {
        "weights": [on_host(path, place) for path in request["weights"]],
        "programs": programs,
        "flags": [*request["flags"], f"image {place.image}"],
    }


def _mounted(name: str, place: Place) -> list[str]:
    # A name without a slash is looked up on the PATH, which is the image's.
    if "/" not in name:
        return []
    try:
        return [on_host(name, place)]
    except NotMounted:
        return []


def _of_docker(inside: dict[str, str]) -> Place:
    meant = held(inside) or inside
    seen = docker.inspected(meant)
    if seen is None:
        raise HostProblem(f"there is no container {meant['name']}, whose paths are meant")
    mounts = [(one["Destination"], one.get("Source", "")) for one in seen["Mounts"]]
    return Place(meant["name"], mounts, seen["Image"])


def _of_lxc(inside: dict[str, str]) -> Place:
    keeper = lxc_words.keeper({"name": inside["name"], "keeper": inside["kind"]})
    file = lxc.file_of(keeper)
    if file is None:
        raise HostProblem(f"there is no {keeper.what}, whose paths are meant")
    return Place(keeper.name, file.mounts, file.root)


def held(inside: dict[str, str]) -> dict[str, str] | None:
    """Name a container to the engine that keeps it, None where none of Docker's kind does."""
    if inside["kind"] != "compose":
        return inside if inside["kind"] == "docker" else None
    project, _, service = inside["name"].partition("/")
    asked = {"project": project, "service": service, "file": "", "socket": inside["socket"]}
    return compose.container(asked)


def _of_service(inside: dict[str, str]) -> Place:
    scope, _, name = inside["name"].partition("/")
    made = service_container.of_service(name, scope)
    return Place(f"of {name}", made.mounts, made.image)


_PLACES = {
    "docker": _of_docker,
    "compose": _of_docker,
    "systemd": _of_service,
    "lxc": _of_lxc,
    "pct": _of_lxc,
}
"""What tells of a container, by its kind."""
