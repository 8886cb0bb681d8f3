"""What models that live in containers of LXC are: whole containers, or services in them.

A container is started for its service, and stays up without it.
"""

from __future__ import annotations

import time
from typing import Any

from reconciler.onhost import given, inner_systemd, lxc, lxc_words, service_log, systemctl, systemd
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, Objection

BOOT_SECONDS = 50.0
"""How long a container may take until its systemd answers."""

PAUSE = 0.1


def containers(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer for each whether it could be started, and what runs of it."""
    return {"containers": [_look(one) for one in request["containers"]]}


def _look(one: dict[str, str]) -> dict[str, Any]:
    whole = lxc.look(one)
    if not one["service"]:
        return whole
    binary = whole["binary"]
    if whole["unit"] is None:
        # What is in it is seen once it runs.
        unseen = {"path": one["service"], "autostart": NO_OBJECTION.parts}
        return {"binary": {**binary, **unseen}, "unit": None}
    init = whole["unit"]["identity"]["pid"]
    if not inner_systemd.is_booted(init):
        return _without_systemd(one, binary)
    lxc.refuse_frozen(lxc_words.keeper(one))
    seen: dict[str, Any] = systemd.look(one["service"], inner_systemd.scope(one["name"]))
    inner = seen["binary"]
    told = {"problem": inner["problem"], "autostart": _both(binary, inner, one["service"])}
    if binary["problem"]["found"]:
        told["problem"] = binary["problem"]
    return {**seen, "binary": {**inner, **told}}


def _without_systemd(one: dict[str, str], binary: dict[str, Any]) -> dict[str, Any]:
    """Tell that no service runs in a container that runs."""
    found = f"{lxc_words.keeper(one).what} runs no systemd, and so not {one['service']}"
    barred = Objection(found, "leave `service:` out, and the container is the model")
    told = {"path": one["service"], "problem": barred.parts, "autostart": NO_OBJECTION.parts}
    return {"binary": {**binary, **told}, "unit": None}


def _both(outer: dict[str, Any], inner: dict[str, Any], service: str) -> dict[str, str]:
    """Tell that a service is started at boot: if its container is, and it is enabled there."""
    first, then = outer["autostart"], inner["autostart"]
    if not (first["found"] and then["found"]):
        return NO_OBJECTION.parts
    return {"found": f"{first['found']}, and {service} with it", "fix": then["fix"]}


def start(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Start it, with the container of a service that has stopped; answer its identity."""
    if not request["service"]:
        return lxc.start(request, directory)
    if not _runs(request):
        lxc.start(request, directory)
    inner = _inner(request)
    _await_systemd(inner)
    return systemd.start(inner, directory)


def _await_systemd(inner: dict[str, Any]) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        try:
            systemctl.shown(inner["name"], inner["scope"])
        except HostProblem:
            if time.monotonic() >= deadline:
                raise
        else:
            return
        time.sleep(PAUSE)


def stop(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """End it; the container of a service stays up."""
    if not request["service"]:
        return lxc.stop(request, directory)
    if not _runs(request):
        return {"gone": True, "rungs": [], "exit_code": None, "seconds": 0.0}
    return systemd.stop(_inner(request), directory)


def log(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer its last lines: of a service none while its container has stopped."""
    if not request["service"]:
        return lxc.log(request, directory)
    if not _runs(request):
        return {"lines": [], "end": request.get("after", "")}
    return service_log.log(_inner(request), directory)


def command(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer what it runs: of a service, what is seen while its container runs."""
    if not request["service"]:
        return given.of_lxc(request, directory)
    keeper = lxc_words.keeper(request)
    file = lxc.file_of(keeper)
    if file is None or not _runs(request):
        return {"problem": f"{keeper.what} has stopped, and its services are not seen"}
    told = given.of_service(_inner(request), directory)
    reached = [mounted for mounted, source in file.mounts if source]
    return {**told, "reached": reached, "apart": bool(file.network)}


def _runs(request: dict[str, Any]) -> bool:
    return lxc.init_of(lxc_words.keeper(request)) is not None


def _inner(request: dict[str, Any]) -> dict[str, Any]:
    """Write a request as it is asked of the systemd inside."""
    scope = inner_systemd.scope(request["name"])
    return {**request, "name": request["service"], "scope": scope}
