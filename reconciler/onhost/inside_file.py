"""Whether a container has a file of its own, running or not: its engine looks into it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from reconciler.onhost import docker_api, places
from reconciler.onhost.docker_container import HeldContainer

_NOT_FOUND = 404


def lacks(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer `lacks`: True only where the engine says so."""
    held = places.held(request["inside"])
    if held is None:
        return {"lacks": False}
    path = f"/archive?path={quote(request['file'], safe='')}"
    answer = HeldContainer(held).ask("HEAD", path, docker_api.LOOK_SECONDS)
    return {"lacks": answer.status == _NOT_FOUND}
