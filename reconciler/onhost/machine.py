"""What a machine has for serving models: accelerators, engines, weights, servers, and room."""

from __future__ import annotations

import glob
import os
import re
import shutil
import socket
from typing import Any

from reconciler.onhost import (
    caches,
    contact,
    container_engine,
    files,
    found_containers,
    found_lxcs,
    logins,
    procfs,
    search,
    servers,
)

FIRST_PORT = 8080
PROGRAM_PLACES = (
    "/usr/local/bin",
    "/opt/llama*",
    "/opt/llama*/bin",
    "~/bin",
    "~/.local/bin",
    "~/llama.cpp/build/bin",
    "~/llama*/build/bin",
)

_OF_WEIGHTS = ("-m", "--model")
_VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
_NVIDIA = ("/proc/driver/nvidia/gpus/*/information",)
_DRM = ("/sys/class/drm/card[0-9]*/device",)
_MODEL = re.compile(r"^Model:\s+(.*)$", re.MULTILINE)


def machine(request: dict[str, Any], directory: str, root: str = "/") -> dict[str, Any]:
    """Answer what there is.

    `search` says whether to look for weights, `places` where, None for everywhere; `folders` which
    folders to judge, `sockets` where else a container engine listens.
    """
    proc, user = os.path.join(root, "proc"), procfs.account(os.geteuid())
    listening = servers.servers(proc)
    sockets = request.get("sockets", ())
    containers = found_containers.found(listening, sockets)
    lxcs = found_lxcs.found(listening, proc)
    reached = (found_containers.as_reached(one, containers) for one in listening)
    serving = [found_lxcs.as_reached(one, lxcs, proc) for one in reached]
    found = (
        _weights(serving, [*containers, *lxcs], request.get("places"), root)
        if request.get("search", True)
        else search.Search([], "")
    )
    free = _free_port(proc)
    return {
        "name": socket.gethostname(),
        "user": user,
        "logins": logins.logins(user),
        **_hardware(root),
        "programs": _programs(),
        "servers": _servers(serving, lxcs, found, free, proc),
        "containers": containers,
        "lxcs": lxcs,
        "engines": container_engine.engines(sockets),
        "docker_host": os.environ.get("DOCKER_HOST", ""),
        "weights": found.files,
        "cut": found.cut,
        "folders": [_folder(files.absolute(one, directory)) for one in request.get("folders", ())],
        "free_port": free,
    }


def _hardware(root: str) -> dict[str, Any]:
    nodes = contact.gpus(root)["nodes"]
    return {
        "memory_bytes": procfs.memory_bytes("MemTotal", os.path.join(root, "proc")),
        "cards": cards(root),
        "nodes": [_node(path) for path in nodes],
    }


def _weights(
    serving: list[dict[str, Any]],
    containers: list[dict[str, Any]],
    places: list[str] | None,
    root: str,
) -> search.Search:
    """Find the weights that servers and containers name, and those in places."""
    proc = os.path.join(root, "proc")
    told = [path for one in serving for path in _named(one, proc)]
    told += [file["outside"] for one in containers for file in one["files"] if _is_model(file)]
    environments = [os.environ, *(servers.environment(one["pid"], proc) for one in serving)]
    usual = search.places(os.path.expanduser("~"), environments, root)
    return search.search(usual if places is None else places, told)


def _servers(
    serving: list[dict[str, Any]],
    lxcs: list[dict[str, Any]],
    found: search.Search,
    free: int,
    proc: str,
) -> list[dict[str, Any]]:
    """Describe the servers; one without a port of this host gets the one that is free."""
    known, kept = _by_identity(found), {one["pid"] for one in lxcs}
    told = [one["pid"] in kept or _is_told_of(one) for one in serving]
    return [
        {**one, "port": one["port"] or free, "mapped": _as_found(one, known, proc, is_told=is_told)}
        for one, is_told in zip(serving, told)
    ]


def _by_identity(found: search.Search) -> dict[tuple[int, int] | None, str]:
    paths = [file["path"] for file in found.files]
    return {search.identity(path): path for path in paths}


def cards(root: str = "/") -> list[dict[str, Any]]:
    """List every accelerator that the kernel shows, with its memory in bytes where it tells."""
    told = [_nvidia_card(path) for path in files.matching(_NVIDIA, root)]
    listed = [_drm_card(device) for device in files.matching(_DRM, root)]
    # NVIDIA's own driver tells of all its cards; with another, or none, they are only in this list.
    others = [card for card in listed if card and not (told and card["vendor"] == "nvidia")]
    return told + others


def _nvidia_card(path: str) -> dict[str, Any]:
    model = _MODEL.search(procfs.text(path))
    return {"vendor": "nvidia", "name": model[1].strip() if model else "", "memory_bytes": None}


def _drm_card(device: str) -> dict[str, Any] | None:
    """Describe a card of a vendor that is known, None for any other and for an outlet of one."""
    vendor = _VENDORS.get(_line(f"{device}/vendor"))
    # card0-HDMI-A-1 is where a monitor is plugged in.
    if vendor is None or "-" in os.path.basename(os.path.dirname(device)):
        return None
    total = _line(f"{device}/mem_info_vram_total")
    size = int(total) if total.isdecimal() else None
    return {"vendor": vendor, "name": _line(f"{device}/product_name"), "memory_bytes": size}


def _line(path: str) -> str:
    return procfs.text(path).strip()


def _named(server: dict[str, Any], proc: str) -> list[str]:
    """List the weights that a server was told of, then those that it has in memory."""
    told = [os.path.join(server["directory"], word) for word in _told(server["flags"])]
    paths = [path for path in (*told, *server["mapped"]) if os.path.isabs(path)]
    # What cannot be printed cannot be written into a file of text.
    return [path for path in paths if path.isprintable() and _is_here(server, path, proc)]


def _parts(word: str) -> list[str]:
    """Split --flag=value into two words."""
    return word.split("=", 1) if word.startswith("--") else [word]


def _told(flags: list[str]) -> list[str]:
    """List the words that look like weights: by the flag before them, or by their own ending."""
    words = _words(flags)
    return [word for flag, word in zip(["", *words], words) if _is_weights(flag, word)]


def _words(flags: list[str]) -> list[str]:
    return [part for word in flags for part in _parts(word)]


def _is_weights(flag: str, word: str) -> bool:
    return flag in _OF_WEIGHTS or word.endswith(".gguf")


def _is_model(file: dict[str, str]) -> bool:
    """Whether a file of a container may be weights, and can be written into a file of text."""
    outside = file["outside"]
    return outside.isprintable() and (outside.endswith(".gguf") or caches.is_blob(outside))


def _as_found(
    server: dict[str, Any],
    known: dict[tuple[int, int] | None, str],
    proc: str,
    *,
    is_told: bool,
) -> list[str]:
    """List the files in a server's memory by the names under which they were found.

    Later parts of a split model are left out. Where it `is_told` what keeps the server's container,
    they have that container's names.
    """
    if is_told:
        # Their paths are those that a model in that container has.
        return [path for path in server["mapped"] if files.part(path) <= 1]
    found = [(path, known.get(_identity(server, path, proc))) for path in server["mapped"]]
    # A path of a container that was not found here leads nowhere.
    paths = [here or ("" if server["container"] else caches.named(path)) for path, here in found]
    return [path for path in paths if path and files.part(path) <= 1]


def _is_here(server: dict[str, Any], path: str, proc: str) -> bool:
    """Whether a path leads to the same file here as it does for a server."""
    here = search.identity(path)
    return here is not None and here == _identity(server, path, proc)


def _identity(server: dict[str, Any], path: str, proc: str) -> tuple[int, int] | None:
    """Find which file a server means by a path: in a container, often another one than here."""
    root = procfs.root(server["pid"], proc) if server["container"] else ""
    return search.identity(root + path)


def _is_told_of(server: dict[str, Any]) -> bool:
    """Whether a server is in a container of which its engine tells."""
    inside = server["container"]
    return bool(inside) and bool(inside.get("engine"))


def _programs() -> list[str]:
    """List the llama-servers that can be run: the one on the PATH first, then usual places."""
    patterns = map(os.path.expanduser, PROGRAM_PLACES)
    folders = [place for pattern in patterns for place in sorted(glob.glob(pattern))]
    found = [shutil.which(servers.PROGRAM), *map(_program_in, folders)]
    return list(dict.fromkeys(path for path in found if path))


def _program_in(folder: str) -> str | None:
    return shutil.which(servers.PROGRAM, path=folder)


def _free_port(proc: str) -> int:
    """Find the first port from 8080 on that nothing listens on."""
    taken = {port for port, _ in servers.listening(proc).values()}
    return next(port for port in range(FIRST_PORT, 65_536) if port not in taken)


def _node(path: str) -> dict[str, Any]:
    """Describe a device node: whether this user may use it, and the group that may."""
    return {"path": path, "usable": os.access(path, os.R_OK | os.W_OK), "group": files.group(path)}


def _folder(path: str) -> dict[str, Any]:
    """Judge whether a folder, or the one that it would be made in, can be written to."""
    above = files.nearest(path)
    obstacle = files.obstacle(above)
    return {
        "path": path,
        "nearest": above,
        "writable": not obstacle and os.access(above, os.W_OK | os.X_OK),
        "free_bytes": files.free_bytes(path) or 0,
        "obstacle": obstacle,
    }
