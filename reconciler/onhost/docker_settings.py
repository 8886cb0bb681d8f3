"""What a container of ours is made with: its mounts, devices and user; and what became of that."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from reconciler.onhost import contact, files
from reconciler.onhost.problem import NO_OBJECTION, Objection

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST = "host"
_SEPARATORS = re.compile(r"[,=]")
_NVIDIA = "/dev/nvidia"
_DIRECT = ("/dev/kfd", "/dev/dri/")
_READ_WRITE = "rwm"

Wanted = dict[str, Any]


def own_user(socket: str) -> str:
    """Name the user whose files a container makes as ours: in a rootless engine, that is root."""
    if os.stat(socket).st_uid:
        return "0:0"
    return f"{os.geteuid()}:{os.getegid()}"


def written(wanted: Wanted, directory: str) -> list[str]:
    """List the folders that a container writes into."""
    own = os.path.join(directory, wanted["directory"])
    return [own, *(os.path.join(own, folder) for folder in wanted["folders"])]


def _read(wanted: Wanted) -> Iterator[str]:
    """Yield what a command line names of its host, but for the program itself."""
    words = [part for word in wanted["argv"][1:] for part in _SEPARATORS.split(word)]
    # A number may be behind a path (`--lora-scaled /a.gguf:0.5`).
    paths = [path for word in words for path in (word, word.rpartition(":")[0])]
    for path in paths:
        if os.path.isabs(path) and os.path.exists(path):
            yield from files.shards(path) if os.path.isfile(path) else [path]


def mounts(wanted: Wanted, directory: str) -> dict[str, bool]:
    """Choose what is mounted at its own path, and whether it is written to."""
    chosen = dict.fromkeys(written(wanted, directory), True)
    for path in _read(wanted):
        if not any(_is_in(path, folder) for folder in chosen):
            chosen[path] = False
    return chosen


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def shadowed(wanted: Wanted, directory: str) -> Objection:
    """Tell in words that a volume would hide what has to be seen there, "" where none does."""
    for volume in wanted["volumes"]:
        _, target, *_ = volume.split(":")
        for path in mounts(wanted, directory):
            if _is_in(target, path):
                hidden = f"the volume {volume} would hide {path}, which has to be seen there"
                return Objection(hidden, "remove it from volumes:")
    return NO_OBJECTION


def gone(wanted: Wanted) -> Objection:
    """Tell in words that a volume is no folder of this host, "" where all are."""
    # Docker would make an empty one, and podman refuse when it is too late.
    for volume in wanted["volumes"]:
        source = volume.partition(":")[0]
        if source.startswith("/") and files.is_gone(source):
            return Objection(
                f"the volume {volume} needs {source}, which is not there",
                f"make it (`mkdir -p {source}`), or correct volumes:",
            )
    return NO_OBJECTION


def body(wanted: Wanted, directory: str, user: str, entrypoint: list[str] | None) -> dict[str, Any]:
    """Write what an engine is asked for."""
    program, *words = wanted["argv"]
    # A program without a folder is the image's own, where that says what it runs.
    named = {} if entrypoint and "/" not in program else {"Entrypoint": [program]}
    return {
        "Image": wanted["image"],
        **named,
        "Cmd": words,
        "WorkingDir": os.path.join(directory, wanted["directory"]),
        "User": user,
        "HostConfig": {
            "NetworkMode": _HOST,
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": False,
            "Init": False,
            "Binds": list(wanted["volumes"]),
            "Mounts": [
                {"Type": "bind", "Source": path, "Target": path, "ReadOnly": not is_written}
                for path, is_written in mounts(wanted, directory).items()
            ],
            **_memory(wanted),
            **_devices(wanted["devices"]),
        },
    }


def _memory(wanted: Wanted) -> dict[str, Any]:
    given = {"IpcMode": wanted["ipc"], "ShmSize": wanted["shm"]}
    return {key: value for key, value in given.items() if value is not None}


def _devices(wanted: str | list[str]) -> dict[str, Any]:
    if wanted == "none":
        return {}
    if not isinstance(wanted, str):
        return {"DeviceRequests": [_request(name) for name in wanted]}
    nodes = [] if wanted == "all" else contact.gpus()["nodes"]
    direct = [node for node in nodes if node.startswith(_DIRECT)]
    # All of them: a number in CUDA_VISIBLE_DEVICES means the same card as outside.
    asks = wanted == "all" or any(node.startswith(_NVIDIA) for node in nodes)
    every = {"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}
    return {
        "DeviceRequests": [every] if asks else [],
        "Devices": [
            {"PathOnHost": node, "PathInContainer": node, "CgroupPermissions": _READ_WRITE}
            for node in direct
        ],
        # Whoever is not root there may use them as a member of their groups.
        "GroupAdd": sorted({str(os.stat(node).st_gid) for node in direct}),
    }


def _request(name: str) -> dict[str, Any]:
    """Ask for a device by its name in the Container Device Interface, or by NVIDIA's id."""
    if "=" in name:
        return {"Driver": "cdi", "DeviceIDs": [name]}
    return {"Driver": "nvidia", "DeviceIDs": [name], "Capabilities": [["gpu"]]}


def dropped(asked: dict[str, Any], seen: dict[str, Any], *, names_devices: bool = False) -> str:
    """Tell what an engine left out without a word, "" where a container has all of it.

    An engine that `names_devices` finds out at the start which of them there are.
    """
    wanted, given = asked["HostConfig"], seen["HostConfig"]
    if not names_devices and len(given.get("DeviceRequests") or ()) < len(
        wanted.get("DeviceRequests", ())
    ):
        return "the request for a GPU"
    there = {one["PathInContainer"] for one in given.get("Devices") or ()}
    for one in wanted.get("Devices", ()):
        if one["PathInContainer"] not in there:
            return f"the device {one['PathInContainer']}"
    mounted = {(one["Destination"], one["RW"]) for one in seen["Mounts"]}
    for one in wanted["Mounts"]:
        if (one["Target"], not one["ReadOnly"]) not in mounted:
            return f"the mount of {one['Target']}"
    if given["NetworkMode"] != _HOST:
        return "the host's network"
    return "" if seen["Config"]["User"] == asked["User"] else f"the user {asked['User']}"
