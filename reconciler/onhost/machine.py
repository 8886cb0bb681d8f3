"""What a machine has for serving models: accelerators, engines, weights, who serves already, and where there is room."""

from __future__ import annotations

import contextlib
import glob
import grp
import os
import pwd
import re
import shutil
import socket
from typing import Any

from reconciler.onhost import caches, contact, files, logins, procfs, search, servers

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
_MODEL = re.compile(r"^Model:\s+(.*)$", re.MULTILINE)
_TOTAL = re.compile(rb"^MemTotal:\s+(\d+) kB", re.MULTILINE)


def machine(request: dict[str, Any], directory: str, root: str = "/") -> dict[str, Any]:
    """Answer what there is.

    `search` says whether to look for weights, `folders` which folders to judge.
    """
    proc, home = os.path.join(root, "proc"), os.path.expanduser("~")
    serving = servers.servers(proc)
    wanted = request.get("search", True)
    free = _free_port(proc)
    named = [path for one in serving for path in _weights(one, proc)]
    environments = [os.environ, *(servers.environment(one["pid"], proc) for one in serving)]
    found = (
        search.search(search.places(home, environments, root), named)
        if wanted
        else search.Search([], "")
    )
    known = {search.identity(file["path"]): file["path"] for file in found.files}
    return {
        "name": socket.gethostname(),
        "user": _user(),
        "logins": logins.logins(_user()),
        "memory_bytes": _memory(proc),
        "cards": cards(root),
        "nodes": [_node(path) for path in contact.gpus(root)["nodes"]],
        "programs": _programs(),
        "servers": [
            {**one, "port": one["port"] or free, "mapped": _as_found(one, known, proc)}
            for one in serving
        ],
        "weights": found.files,
        "cut": found.cut,
        "folders": [
            _folder(files.absolute(path, directory)) for path in request.get("folders", ())
        ],
        "free_port": free,
    }


def cards(root: str = "/") -> list[dict[str, Any]]:
    """Return every accelerator that the kernel lists, with its memory in bytes where it tells."""
    found = []
    for path in sorted(glob.glob(os.path.join(root, "proc/driver/nvidia/gpus/*/information"))):
        model = _MODEL.search(_text(path))
        found.append(
            {"vendor": "nvidia", "name": model[1].strip() if model else "", "memory_bytes": None}
        )
    for device in sorted(glob.glob(os.path.join(root, "sys/class/drm/card[0-9]*/device"))):
        vendor = _VENDORS.get(_text(f"{device}/vendor").strip())
        if (
            vendor is None
            or (vendor == "nvidia" and found)
            or "-" in os.path.basename(os.path.dirname(device))
        ):
            continue
        total = _text(f"{device}/mem_info_vram_total").strip()
        name = _text(f"{device}/product_name").strip()
        found.append(
            {
                "vendor": vendor,
                "name": name,
                "memory_bytes": int(total) if total.isdecimal() else None,
            }
        )
    return found


def _weights(server: dict[str, Any], proc: str) -> list[str]:
    """Return the files that a server was told of and that look like weights, then those that it has in memory."""
    flags = [
        part
        for word in server["flags"]
        for part in (word.split("=", 1) if word.startswith("--") else [word])
    ]
    told = [
        word
        for before, word in zip(["", *flags], flags)
        if before in _OF_WEIGHTS or word.endswith(".gguf")
    ]
    paths = [*(os.path.join(server["directory"], word) for word in told), *server["mapped"]]
    return [
        path
        for path in paths
        if os.path.isabs(path) and path.isprintable() and _is_here(server, path, proc)
    ]


def _as_found(
    server: dict[str, Any], known: dict[tuple[int, int] | None, str], proc: str
) -> list[str]:
    """Return the files in a server's memory by the names under which they were found, without the later parts of one."""
    found = [(path, known.get(_identity(server, path, proc))) for path in server["mapped"]]
    paths = [here or ("" if server["container"] else caches.named(path)) for path, here in found]
    return [path for path in paths if path and files.part(path) <= 1]


def _is_here(server: dict[str, Any], path: str, proc: str) -> bool:
    """Return whether a path leads to the same file here as it does for a server."""
    here = search.identity(path)
    return here is not None and here == _identity(server, path, proc)


def _identity(server: dict[str, Any], path: str, proc: str) -> tuple[int, int] | None:
    """Return which file a server means by a path.

    In a container, that is often another one than here.
    """
    root = procfs.root(server["pid"], proc) if server["container"] else ""
    return search.identity(root + path)


def _programs() -> list[str]:
    """Return the llama-servers that can be run: the one on the PATH first, then those in well-known places."""
    folders = [
        place
        for pattern in PROGRAM_PLACES
        for place in sorted(glob.glob(os.path.expanduser(pattern)))
    ]
    on_path = shutil.which(servers.PROGRAM)
    beside = [
        path for folder in folders for path in [shutil.which(servers.PROGRAM, path=folder)] if path
    ]
    return list(dict.fromkeys([*([on_path] if on_path else ()), *beside]))


def _free_port(proc: str) -> int:
    """Return the first port from 8080 on that nobody listens on."""
    taken = {port for port, _ in servers.listening(proc).values()}
    return next(port for port in range(FIRST_PORT, 65_536) if port not in taken)


def _node(path: str) -> dict[str, Any]:
    """Return a device node, whether this user may use it, and the group that may."""
    group = ""
    with contextlib.suppress(OSError, KeyError):
        group = grp.getgrgid(os.stat(path).st_gid).gr_name
    return {"path": path, "usable": os.access(path, os.R_OK | os.W_OK), "group": group}


def _folder(path: str) -> dict[str, Any]:
    """Return whether a folder, or the one that it would be made in, can be written, and the bytes left there."""
    above = files.nearest(path)
    obstacle = files.obstacle(above)
    writable = not obstacle and os.access(above, os.W_OK | os.X_OK)
    free = files.free_bytes(path) or 0
    return {
        "path": path,
        "nearest": above,
        "writable": writable,
        "free_bytes": free,
        "obstacle": obstacle,
    }


def _memory(proc: str) -> int:
    total = _TOTAL.search(procfs.read(f"{proc}/meminfo", 65536))
    return int(total[1]) * 1024 if total else 0


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _text(path: str) -> str:
    return procfs.read(path).decode("utf-8", "replace")
