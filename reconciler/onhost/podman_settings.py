"""What podman is asked for a container of ours: by an API of its own (seen with 4.3.1).

Docker's has no word for the names of the Container Device Interface there, and a request for a GPU
is dropped. A name that means nothing fails the start.
"""

from __future__ import annotations

from typing import Any

PLACE = "/v4.0.0/libpod/containers/create"
"""Where it listens for that. Source: its OpenAPI page, ContainerCreateLibpod."""

_EVERY = "nvidia.com/gpu=all"
_ONE = "nvidia.com/gpu="


def body(name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Write what dockerd would be asked for as podman takes it."""
    host = asked["HostConfig"]
    volumes = [one.split(":") for one in host["Binds"]]
    given = {
        "entrypoint": asked.get("Entrypoint"),
        "shm_size": host.get("ShmSize"),
        "ipcns": {"nsmode": host["IpcMode"]} if "IpcMode" in host else None,
    }
    return {
        "name": name,
        "image": asked["Image"],
        "command": asked["Cmd"],
        "env": dict(one.split("=", 1) for one in asked["Env"]),
        "labels": asked["Labels"],
        "user": asked["User"],
        "work_dir": asked["WorkingDir"],
        "netns": {"nsmode": host["NetworkMode"]},
        "restart_policy": host["RestartPolicy"]["Name"],
        "groups": host.get("GroupAdd", []),
        "devices": [{"path": path} for path in _devices(host)],
        "mounts": [
            *(
                _mount(one["Source"], one["Target"], ["ro"] * one["ReadOnly"])
                for one in host["Mounts"]
            ),
            *(_mount(*_parts(one)) for one in volumes if one[0].startswith("/")),
        ],
        "volumes": [
            dict(zip(("Name", "Dest", "Options"), _parts(one)))
            for one in volumes
            if not one[0].startswith("/")
        ],
        **{key: value for key, value in given.items() if value is not None},
    }


def _parts(volume: list[str]) -> tuple[str, str, list[str]]:
    source, target, *options = volume
    return source, target, options[0].split(",") if options else []


def _mount(source: str, target: str, options: list[str]) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": source,
        "Destination": target,
        "Options": ["rbind", *options],
    }


def _devices(host: dict[str, Any]) -> list[str]:
    """Name devices: nodes by their paths, all else as the Container Device Interface does."""
    nodes = [one["PathOnHost"] for one in host.get("Devices", ())]
    return [*nodes, *(name for one in host.get("DeviceRequests", ()) for name in _names(one))]


def _names(request: dict[str, Any]) -> list[str]:
    if "DeviceIDs" not in request:
        return [_EVERY]
    return [name if "=" in name else f"{_ONE}{name}" for name in request["DeviceIDs"]]
