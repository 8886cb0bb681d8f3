"""Containers of our own: made of an image, told by a label, and seen to be as they were asked for.

They have the host's network and every folder at its own path, so that a command line means the
same in one as beside it. A container that ended stays, for its log, until the next takes its name.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any
from urllib.parse import quote

from reconciler.onhost import docker, docker_log, docker_settings, podman_settings
from reconciler.onhost.docker_container import LABEL, HeldContainer, Inspected, runs
from reconciler.onhost.docker_dialect import PODMAN
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, Objection

_OK, _CREATED, _NOT_FOUND = 200, 201, 404
_NO_IMAGE = (400, _NOT_FOUND)
"""Of an image that is not there, and of a name that none can have."""

_DELETED = (204, _NOT_FOUND)

Request = dict[str, Any]


def image(request: Request, directory: str) -> dict[str, Any]:
    """Answer what a container would be made of, as new as that, and why it cannot be."""
    wanted = request["container"]
    one = HeldContainer(wanted)
    found = _image(one, wanted["image"])
    return {
        "path": wanted["image"],
        "problem": _barred(one, found, wanted, directory).parts,
        "size": int(found["Size"]) if found else 0,
        "modified_ns": docker_log.nanoseconds(found["Created"]) if found else 0,
    }


def has_image(named: dict[str, str]) -> bool:
    """Whether an engine has an image of a name."""
    return _image(HeldContainer(named), named["name"]) is not None


def image_id(named: dict[str, str]) -> str:
    """Find the id of the image that a name means now; raise HostProblem where there is none."""
    one = HeldContainer(named)
    found = _image(one, named["name"])
    if found is None:
        raise HostProblem(_no_image(one, named["name"]))
    return str(found["Id"])


def units(request: Request, directory: str) -> dict[str, Any]:
    """Answer the units of ours at each engine, started from a directory."""
    engines = [HeldContainer({"name": "", "socket": place}) for place in request["sockets"]]
    found = {one.socket: one for one in engines}
    return {"units": [unit for one in found.values() for unit in _units(one, directory)]}


def _units(engine: HeldContainer, directory: str) -> list[dict[str, Any]]:
    marked = quote(json.dumps({"label": [LABEL]}))
    # podman lists what is paused or being stopped only among all.
    answer = engine.ask_engine("GET", f"/containers/json?all=1&filters={marked}")
    listed = answer.listed
    if listed is None:
        raise HostProblem(f"{engine.dialect.daemon} does not list its containers: {answer.said}")
    each = (HeldContainer({"name": one["Id"], "socket": engine.socket}) for one in listed)
    return [unit for one in each if (unit := _unit(one, directory)) is not None]


def _unit(one: HeldContainer, directory: str) -> dict[str, Any] | None:
    """Describe a container of ours that runs, None when it is another controller's or is over."""
    seen = one.inspected()
    mark = _mark(seen)
    unit = one.unit(seen) if seen is not None and mark and _is_from(directory, seen) else None
    if unit is None or seen is None:
        return None
    launcher = {"image": seen["Config"]["Image"], "socket": one.socket}
    return {**unit, "argv": [], "mark": mark, "image": seen["Image"], "launcher": launcher}


def _mark(seen: Inspected | None) -> dict[str, Any] | None:
    """Read the mark of a container, None where it has none of ours."""
    labels = seen["Config"]["Labels"] if seen else {}
    with contextlib.suppress(ValueError):
        mark = json.loads(labels.get(LABEL, ""))
        if isinstance(mark, dict) and "model" in mark:
            return mark
    return None


def _is_from(directory: str, seen: Inspected) -> bool:
    place = os.path.realpath(seen["Config"]["WorkingDir"] or "/")
    return place.startswith(os.path.realpath(directory) + "/")


def run(request: Request, directory: str) -> dict[str, Any]:
    """Make and start a container; answer its identity, or leave nothing and raise HostProblem."""
    wanted, one = request["container"], HeldContainer(request["container"])
    found = _image(one, wanted["image"])
    problem = _barred(one, found, wanted, directory)
    if problem or found is None:
        raise HostProblem(problem)
    _clear(one, directory)
    user = wanted["user"] or docker_settings.own_user(one.socket)
    _make_folders(wanted, directory, user)
    labels = {LABEL: json.dumps(request["mark"], sort_keys=True, separators=(",", ":"))}
    body = docker_settings.body(wanted, directory, user, found["Config"].get("Entrypoint"))
    made = _made(one, {**body, "Env": _variables(request["env"]), "Labels": labels})
    try:
        _compare(made, body)
        return docker.begin(made)
    except HostProblem:
        with contextlib.suppress(HostProblem):
            _remove_unused(made)
        raise


def _remove_unused(made: HeldContainer) -> None:
    """Remove a container that never ran; the log of one that did tells why it ended."""
    seen = made.inspected()
    if seen is not None and docker_log.nanoseconds(seen["State"]["StartedAt"]) <= 0:
        made.ask("DELETE", "")


def _variables(env: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in env.items()]


def _image(one: HeldContainer, name: str) -> Inspected | None:
    answer = one.ask_engine("GET", f"/images/{quote(name, safe='')}/json")
    if answer.status in _NO_IMAGE:
        return None
    if answer.status != _OK or not isinstance(answer.value, dict):
        raise HostProblem(f"{one.dialect.daemon} does not tell of image {name}: {answer.said}")
    return dict(answer.value)


def _no_image(one: HeldContainer, name: str) -> Objection:
    fetch = f"fetch it with `{one.dialect.command} pull {name}`"
    return Objection(f"there is no image {name} here", fetch)


def _barred(
    one: HeldContainer, found: Inspected | None, wanted: dict[str, Any], directory: str
) -> Objection:
    """Tell in words why a container cannot be made, "" when it would be tried."""
    if found is None:
        return _no_image(one, wanted["image"])
    unmounted = docker_settings.shadowed(wanted, directory) or docker_settings.gone(wanted)
    if unmounted:
        return unmounted
    seen = one.inspected()
    is_free = seen is None or _is_ours(seen, directory)
    return NO_OBJECTION if is_free else _foreign(one)


def _is_ours(seen: Inspected, directory: str) -> bool:
    return _mark(seen) is not None and _is_from(directory, seen)


def _foreign(one: HeldContainer) -> Objection:
    command = one.dialect.command
    rename = f"give it another name (`{command} rename {one.name} NAME`)"
    return Objection(
        f"there is a container {one.name} that was not made from here",
        f"remove it (`{command} rm {one.name}`) or {rename}",
    )


def _clear(one: HeldContainer, directory: str) -> None:
    """Remove the container that had this name before, if it is ours and over."""
    seen = one.inspected()
    if seen is None:
        return
    if not _is_ours(seen, directory):
        raise HostProblem(_foreign(one))
    if runs(seen):
        raise HostProblem(f"container {one.name} runs already")
    # By its id: what has the name meanwhile is not touched.
    before = HeldContainer({"name": seen["Id"], "socket": one.socket})
    answer = before.ask("DELETE", "")
    if answer.status not in _DELETED:
        raise HostProblem(
            f"the container that was {one.name} before cannot be removed; {one.dialect.daemon}"
            f" says: {answer.said}"
        )


def _make_folders(wanted: dict[str, Any], directory: str, user: str) -> None:
    """Make what a container writes into, as its user's."""
    for folder in docker_settings.written(wanted, directory):
        is_new = not os.path.isdir(folder)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        # What lies in the host directory is ours to give; an operator's own folder is not.
        if os.geteuid() == 0 and (is_new or folder.startswith(directory + "/")):
            _give(folder, user)


def _give(folder: str, user: str) -> None:
    owner, _, group = user.partition(":")
    if owner.isdigit() and group.isdigit():
        os.chown(folder, int(owner), int(group))


def _made(one: HeldContainer, body: dict[str, Any]) -> HeldContainer:
    """Create a container, and mean it by its id, so that no other is started or removed."""
    if one.dialect is PODMAN:
        asked = podman_settings.body(one.name, body)
        answer = one.ask_engine("POST", podman_settings.PLACE, body=asked)
    else:
        place = f"/containers/create?name={quote(one.name, safe='')}"
        answer = one.ask_engine("POST", place, body=body)
    if answer.status != _CREATED:
        # The only one of that name that can have come since it was looked for.
        taken = one.inspected() is not None
        raise HostProblem(_foreign(one) if taken else _refused(one, answer.said))
    return HeldContainer({"name": answer.value["Id"], "socket": one.socket}, one.name)


def _refused(one: HeldContainer, said: str) -> str:
    return f"container {one.name} cannot be made; {one.dialect.daemon} says: {said}"


def _compare(made: HeldContainer, body: dict[str, Any]) -> None:
    """Raise HostProblem where an engine left out what a container was asked to have."""
    seen = made.inspected()
    names_devices = made.dialect is PODMAN
    dropped = (
        docker_settings.dropped(body, seen, names_devices=names_devices)
        if seen is not None
        else "the container"
    )
    if not dropped:
        return
    advice = (
        f"make the container yourself (`{made.dialect.command} create ...`) and name it with"
        " container:"
    )
    raise HostProblem(f"{made.version} left out {dropped} of container {made.name}; {advice}")
