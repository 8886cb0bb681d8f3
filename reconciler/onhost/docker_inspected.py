"""What an engine tells of a container, with nothing missing.

Engines differ in what they leave out, or write as null, where it is empty: seen with dockerd
20.10.24 and podman 4.3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEEDED = {
    "Id": str,
    "State.Running": bool,
    "State.Pid": int,
    "Config.Image": str,
    "HostConfig.NetworkMode": str,
}
"""Without these it is not told whether anything runs, or what."""

_EMPTY: dict[str, Any] = {
    "Name": "",
    "Created": "",
    "Image": "",
    "Path": "",
    "Args": [],
    "Mounts": [],
    "RestartCount": 0,
    "State": {
        "Status": "",
        "Restarting": False,
        "Paused": False,
        "OOMKilled": False,
        "Error": "",
        "ExitCode": 0,
        "StartedAt": "",
        "FinishedAt": "",
    },
    "Config": {"Env": [], "Labels": {}, "WorkingDir": "", "User": "", "Tty": False},
    "HostConfig": {"AutoRemove": False, "PortBindings": {}, "RestartPolicy": {"Name": ""}},
}


def whole(told: object) -> dict[str, Any] | None:
    """Fill in what is left out of a container's description, None where it is none."""
    if not isinstance(told, dict):
        return None
    described = all(isinstance(_at(told, path), kind) for path, kind in _NEEDED.items())
    return _filled(told, _EMPTY) if described else None


def _at(told: Any, path: str) -> object:  # noqa: ANN401 - it is JSON
    for name in path.split("."):
        told = told.get(name) if isinstance(told, dict) else None
    return told


def _filled(told: Mapping[str, Any], empty: Mapping[str, Any]) -> dict[str, Any]:
    there = {name: value for name, value in told.items() if value is not None}
    nested = {
        name: _filled(there.get(name, {}), value)
        for name, value in empty.items()
        if isinstance(value, dict)
    }
    return {**empty, **there, **nested}
