"""Which llama-servers listen, whoever started them."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.onhost import origins, procfs, sockets
from reconciler.onhost.properties import KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAM = "llama-server"
DEFAULT_PORT = 8080
SERVERS_LIMIT = 32
MAPS_LIMIT = 4 * 1024 * 1024

_SECRETS = ("--api-key", "-hft", "--hf-token")
_HIDDEN = "(hidden)"
_VALUED = {
    "LLAMA_ARG_MODEL": "--model", "LLAMA_ARG_ALIAS": "--alias", "LLAMA_ARG_CTX_SIZE": "--ctx-size",
    "LLAMA_ARG_N_PARALLEL": "--parallel", "LLAMA_ARG_N_GPU_LAYERS": "--n-gpu-layers",
    "LLAMA_ARG_POOLING": "--pooling", "LLAMA_ARG_HOST": "--host", "LLAMA_ARG_PORT": "--port",
}  # fmt: skip
_SWITCHES = {"LLAMA_ARG_EMBEDDINGS": "--embedding", "LLAMA_ARG_RERANKING": "--reranking"}
_ON = ("on", "enabled", "true", "1")
"""What is true in a variable (is_truthy in llama.cpp's common/arg.cpp)."""

_MAPPED = re.compile(rb"^\S+ \S+ \S+ \S+ \d+ +(/.*(?:\.gguf|/blobs/[0-9a-f]{40,}))$", re.MULTILINE)
"""A model file, by its name or as a cache of downloads keeps it."""


class _Program(NamedTuple):
    """A command line, split after the words that name the program.

    Variables that are flags come first among these.
    """

    words: list[str]
    flags: list[str]


def listening(proc: str = "/proc") -> dict[int, tuple[int, int]]:
    """Return port and user of every listening TCP socket, by inode."""
    rows = [row for table in ("tcp", "tcp6") for row in sockets.rows(f"{proc}/net/{table}")]
    return {one.inode: (port, one.user) for port, one in sockets.ports(rows)}


def servers(proc: str = "/proc") -> list[dict[str, Any]]:
    """Return every listening llama-server, by pid; one that another one started is left out.

    The `port` is None where it listens on a Unix socket, or in a container with a network of its
    own.
    """
    open_sockets = listening(proc)
    pids = sorted(int(name) for name in os.listdir(proc) if name.isdigit())
    programs = {
        pid: program for pid in pids for program in [_program(pid, proc)] if program is not None
    }
    found = []
    for pid, program in programs.items():
        one = procfs.parse_stat(pid, procfs.read(f"{proc}/{pid}/stat"))
        if one is not None and one.alive and one.parent not in programs:
            found.append(
                {**_described(pid, program, proc), "port": _port(pid, program, open_sockets, proc)}
            )
    return [one for one in found if one["port"] is not None or one["socket"] or one["container"]][
        :SERVERS_LIMIT
    ]


def of_user(port: int, user: int, proc: str = "/proc") -> int | None:
    """Return the llama-server of a user that was told to listen on a port: whose sockets are hidden, its words tell."""
    for name in os.listdir(proc):
        if name.isdigit() and procfs.owner(int(name), proc) == user:
            program = _program(int(name), proc)
            if program is not None and _told_port(program.flags) == port:
                return int(name)
    return None


def environment(pid: int, proc: str = "/proc") -> dict[str, str]:
    """Return the environment that a process was started with, empty where it is hidden.

    It may hold secrets.
    """
    entries = (
        procfs.read(f"{proc}/{pid}/environ", procfs.ENVIRON_LIMIT)
        .decode("utf-8", "replace")
        .split("\0")
    )
    return {name: value for name, _, value in (one.partition("=") for one in entries) if name}


def _described(pid: int, program: _Program, proc: str) -> dict[str, Any]:
    directory = procfs.link(f"{proc}/{pid}/cwd")
    mark = procfs.mark_text(pid, proc)
    origin = origins.origin(pid, proc)
    path = _file(program.words[-1], directory) or _on_path(procfs.link(f"{proc}/{pid}/exe"))
    return {
        "pid": pid,
        "socket": _socket(program.flags, directory),
        "user": procfs.user(pid, proc),
        # What is a path in a container leads nowhere outside of it.
        "directory": "" if origin["container"] else directory,
        "program": "" if origin["container"] else path,
        "flags": _without_secrets(program.flags),
        "mapped": _mapped(pid, proc),
        "variables": _variables(pid, proc),
        **origin,
        "model": (procfs.parse_mark(mark) or {}).get("model") if mark else None,
    }


def _program(pid: int, proc: str) -> _Program | None:
    """Return the command line of a llama-server, or of a script of that name, None for any other program."""
    words = procfs.argv(pid, proc)
    for at, word in enumerate(words[:2]):
        if os.path.basename(word).startswith(PROGRAM) and (at == 0 or _interprets(words[0])):
            return _Program(words[: at + 1], [*_as_flags(environment(pid, proc)), *words[at + 1 :]])
    return None


def _as_flags(variables: dict[str, str]) -> list[str]:
    """Return the flags that variables stand for.

    What is typed wins over them, as whatever comes last does.
    """
    valued = [
        word
        for name, flag in _VALUED.items()
        if variables.get(name)
        for word in (flag, variables[name])
    ]
    return [
        *valued,
        *(flag for name, flag in _SWITCHES.items() if variables.get(name, "").lower() in _ON),
    ]


def _interprets(word: str) -> bool:
    return os.path.basename(word).startswith(("python", "sh", "bash", "dash"))


def _port(
    pid: int, program: _Program, open_sockets: dict[int, tuple[int, int]], proc: str
) -> int | None:
    """Return the port that a process listens on.

    Of another user's process, whose sockets are hidden, the one it was told.
    """
    try:
        links = set(procfs.descriptors(pid, proc))
    except FileNotFoundError:
        return None
    except OSError:
        told = _told_port(program.flags)
        user = procfs.owner(pid, proc)
        return told if (told, user) in open_sockets.values() else None
    ports = sorted(
        port for inode, (port, _) in open_sockets.items() if f"socket:[{inode}]" in links
    )
    return ports[0] if ports else None


def _told_port(flags: list[str]) -> int:
    told = _told(flags, "--port")
    return int(told) if told.isdecimal() else DEFAULT_PORT


def _told(flags: list[str], name: str) -> str:
    """Return the last value of a flag, "" without one."""
    words = [part for word in flags for part in word.split("=", 1)]
    return next(
        (value for flag, value in reversed(list(zip(words, words[1:]))) if flag == name), ""
    )


def _socket(flags: list[str], directory: str) -> str:
    """Return the Unix socket that a server listens on: for llama-server, any host that ends in .sock is one."""
    host = _told(flags, "--host")
    return os.path.join(directory, host) if host.endswith(".sock") else ""


def _without_secrets(flags: Iterable[str]) -> list[str]:
    """Return the flags without what must not leave this host."""
    kept: list[str] = []
    for word in flags:
        name, equals, _ = word.partition("=")
        follows = bool(kept) and kept[-1] in _SECRETS
        kept.append(
            _HIDDEN if follows else f"{name}={_HIDDEN}" if equals and name in _SECRETS else word
        )
    return kept


def _mapped(pid: int, proc: str) -> list[str]:
    """Return the GGUF files that a process has in memory, largest first."""
    content = b""
    try:
        with open(f"{proc}/{pid}/maps", "rb") as file:
            content = file.read(MAPS_LIMIT)
    except OSError:
        return []
    paths = {path.decode("utf-8", "replace") for path in _MAPPED.findall(content)}
    return sorted(
        paths, key=lambda path: (-max(_size(path), _size(procfs.root(pid, proc) + path)), path)
    )


def _variables(pid: int, proc: str) -> list[str]:
    """Return the names of the other variables that stand for flags, and of that for its keys.

    Their values stay here.
    """
    told = {*_VALUED, *_SWITCHES}
    names = (name for name, value in environment(pid, proc).items() if value or name != KEY)
    return sorted(
        name
        for name in names
        if (name.startswith("LLAMA_ARG_") and name not in told) or name == KEY
    )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _file(word: str, directory: str) -> str:
    """Return the program that a word names as a path, "" for a name that was found on some PATH."""
    return (
        os.path.normpath(os.path.join(directory, word))
        if os.sep in word and (directory or word.startswith(os.sep))
        else ""
    )


def _on_path(program: str) -> str:
    """Return the name on the PATH that leads to a program, or the program itself."""
    known = shutil.which(PROGRAM)
    return known if known and os.path.realpath(known) == program else program
