"""Which llama-servers listen, whatever started them."""

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
_SECRET_VARIABLE = re.compile(r"(?:--?\w+=|-e)?[A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD)=")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_HIDDEN = "(hidden)"
_VALUED = {
    "LLAMA_ARG_MODEL": "--model",
    "LLAMA_ARG_ALIAS": "--alias",
    "LLAMA_ARG_CTX_SIZE": "--ctx-size",
    "LLAMA_ARG_N_PARALLEL": "--parallel",
    "LLAMA_ARG_N_GPU_LAYERS": "--n-gpu-layers",
    "LLAMA_ARG_POOLING": "--pooling",
    "LLAMA_ARG_HOST": "--host",
    "LLAMA_ARG_PORT": "--port",
}
_SWITCHES = {"LLAMA_ARG_EMBEDDINGS": "--embedding", "LLAMA_ARG_RERANKING": "--reranking"}
_ON = ("on", "enabled", "true", "1")
"""What is true in a variable (is_truthy in llama.cpp's common/arg.cpp)."""

_MAPPED = re.compile(rb"^\S+ \S+ \S+ \S+ \d+ +(/.*(?:\.gguf|/blobs/[0-9a-f]{40,}))$", re.MULTILINE)
"""A model file, by its name or as a cache of downloads keeps it."""


class ServerProgram(NamedTuple):
    """A command line, split after the words that name the program.

    Variables that are flags come first among these.
    """

    words: list[str]
    flags: list[str]


def listening(proc: str = "/proc") -> dict[int, tuple[int, int]]:
    """Read port and user of every listening TCP socket, by inode."""
    rows = [row for table in ("tcp", "tcp6") for row in sockets.rows(f"{proc}/net/{table}")]
    return {one.inode: (port, one.user) for port, one in sockets.ports(rows)}


def servers(proc: str = "/proc") -> list[dict[str, Any]]:
    """Describe every listening llama-server, by pid.

    The `port` is None where it listens on a Unix socket, or in a container with a network of its
    own.
    """
    open_sockets = listening(proc)
    programs = _programs(proc)
    found = []
    for pid, program in programs.items():
        # A child of another one belongs to that: a script of the name starts it, for example.
        if _parent(pid, proc) not in (None, *programs):
            port = _port(pid, program, open_sockets, proc)
            found.append({**_described(pid, program, proc), "port": port})
    return [one for one in found if _listens(one)][:SERVERS_LIMIT]


def _listens(server: dict[str, Any]) -> bool:
    return server["port"] is not None or bool(server["socket"] or server["container"])


def _programs(proc: str) -> dict[int, ServerProgram]:
    """List the command line of every process that is a llama-server."""
    found = ((pid, _program(pid, proc)) for pid in sorted(procfs.pids(proc)))
    return {pid: program for pid, program in found if program is not None}


def _parent(pid: int, proc: str) -> int | None:
    """Find what started a process that is alive, None of one that is not."""
    one = procfs.alive(pid, proc)
    return one.parent if one else None


def told(port: int, pids: Iterable[int], proc: str = "/proc") -> int | None:
    """Find the llama-server among processes that was told to listen on a port.

    Where the sockets of a process are hidden, its words tell.
    """
    for pid in pids:
        program = _program(pid, proc)
        if program is not None and told_port(program.flags) == port:
            return pid
    return None


def environment(pid: int, proc: str = "/proc") -> dict[str, str]:
    """Read the environment that a process was started with, empty where it is hidden.

    It may hold secrets.
    """
    content = procfs.text(f"{proc}/{pid}/environ", procfs.ENVIRON_LIMIT)
    entries = [one.partition("=") for one in content.split("\0")]
    return {name: value for name, _, value in entries if name}


def _described(pid: int, program: ServerProgram, proc: str) -> dict[str, Any]:
    origin = origins.origin(pid, proc)
    directory, path = _places(pid, program, proc)
    # What is a path in a container leads nowhere outside of it.
    is_here = not origin["container"]
    return {
        "pid": pid,
        "socket": _socket(program.flags, directory),
        "user": procfs.user(pid, proc),
        "directory": directory if is_here else "",
        "program": path if is_here else "",
        "flags": without_secrets(program.flags),
        "mapped": _mapped(pid, proc),
        "variables": settings(environment(pid, proc)),
        **origin,
        "model": _model(pid, proc),
    }


def _places(pid: int, program: ServerProgram, proc: str) -> tuple[str, str]:
    """Find in which folder a server works, and which file it runs."""
    directory = procfs.link(f"{proc}/{pid}/cwd")
    typed = _file(program.words[-1], directory)
    return directory, typed or _on_path(procfs.link(f"{proc}/{pid}/exe"))


def _model(pid: int, proc: str) -> str | None:
    """Find which model of ours it is, None of one that is not ours."""
    text = procfs.mark_text(pid, proc)
    mark = procfs.parse_mark(text) if text else None
    return mark["model"] if mark else None


def _program(pid: int, proc: str) -> ServerProgram | None:
    words = procfs.argv(pid, proc)
    return program_of(words, environment(pid, proc)) if words else None


def program_of(words: list[str], variables: dict[str, str]) -> ServerProgram | None:
    """Read the command line of a llama-server, or of a script of that name; None for any other."""
    if words and _is_server(words[0]):
        count = 1
    elif len(words) > 1 and _is_server(words[1]) and _interprets(words[0]):
        count = 2
    else:
        return None
    return ServerProgram(words[:count], [*_as_flags(variables), *words[count:]])


def _is_server(word: str) -> bool:
    return os.path.basename(word).startswith(PROGRAM)


def _as_flags(variables: dict[str, str]) -> list[str]:
    """List the flags that variables stand for."""
    # Before those that are typed, which win over them as whatever comes last does.
    given = [(flag, variables[name]) for name, flag in _VALUED.items() if variables.get(name)]
    switches = [flag for name, flag in _SWITCHES.items() if _is_on(variables.get(name, ""))]
    return [*(word for pair in given for word in pair), *switches]


def _is_on(value: str) -> bool:
    return value.lower() in _ON


def _interprets(word: str) -> bool:
    return os.path.basename(word).startswith(("python", "sh", "bash", "dash"))


def _port(
    pid: int, program: ServerProgram, open_sockets: dict[int, tuple[int, int]], proc: str
) -> int | None:
    """Find the port that a process listens on."""
    try:
        links = set(procfs.descriptors(pid, proc))
    except FileNotFoundError:
        return None
    except OSError:
        # Another user's sockets are hidden: it is the one that it was told, if that user has it.
        told = (told_port(program.flags), procfs.owner(pid, proc))
        return told[0] if told in open_sockets.values() else None
    return _lowest(links, open_sockets)


def port_inside(pid: int, proc: str = "/proc") -> int | None:
    """Find the port that a process listens on in its own network, None where that is hidden."""
    try:
        links = set(procfs.descriptors(pid, proc))
    except OSError:
        return None
    return _lowest(links, listening(f"{proc}/{pid}"))


def _lowest(links: set[str], open_sockets: dict[int, tuple[int, int]]) -> int | None:
    found = (port for inode, (port, _) in open_sockets.items() if f"socket:[{inode}]" in links)
    return min(found, default=None)


def told_port(flags: list[str]) -> int:
    """Find the port that flags tell a server to listen on."""
    told = _told(flags, "--port")
    return int(told) if told.isdecimal() else DEFAULT_PORT


def _told(flags: list[str], name: str) -> str:
    """Find the last value of a flag, "" without one."""
    values = procfs.values(flags, name)
    return values[-1] if values else ""


def _socket(flags: list[str], directory: str) -> str:
    """Find the Unix socket that a server listens on, "" for none."""
    # To llama-server, any host that ends in .sock is one.
    host = _told(flags, "--host")
    return os.path.join(directory, host) if host.endswith(".sock") else ""


def without_secrets(flags: list[str]) -> list[str]:
    """Hide in words what must not leave this host: values of flags, and of variables set there."""
    pairs = zip(["", *flags], flags)
    return [_HIDDEN if flag in _SECRETS else _without_secret(word) for flag, word in pairs]


def _without_secret(word: str) -> str:
    variable = _SECRET_VARIABLE.match(word)
    if variable:
        return f"{variable[0]}{_HIDDEN}"
    name, equals, _ = word.partition("=")
    if equals and name in _SECRETS:
        return f"{name}={_HIDDEN}"
    return _CREDENTIALS.sub(_HIDDEN, word)


def _mapped(pid: int, proc: str) -> list[str]:
    """List the GGUF files that a process has in memory, largest first."""
    paths = {path.decode("utf-8", "replace") for path in _MAPPED.findall(_maps(pid, proc))}
    root = procfs.root(pid, proc)
    # In a container, the file is only to be seen below the process's own root.
    sizes = {path: max(_size(path), _size(root + path)) for path in paths}
    return sorted(paths, key=lambda path: (-sizes[path], path))


def _maps(pid: int, proc: str) -> bytes:
    # The kernel gives it a page at a time: one read, as of other files there, is not all.
    try:
        with open(f"{proc}/{pid}/maps", "rb") as file:
            return file.read(MAPS_LIMIT)
    except OSError:
        return b""


def settings(given: dict[str, str]) -> list[str]:
    """List the other variables that stand for flags, and that for its keys, by their names.

    Their values stay here.
    """
    return sorted(name for name, value in given.items() if _is_setting(name, value))


def _is_setting(name: str, value: str) -> bool:
    if name == KEY:
        return value != ""
    return name.startswith("LLAMA_ARG_") and name not in _VALUED and name not in _SWITCHES


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _file(word: str, directory: str) -> str:
    """Find the program that a word names as a path, "" for a name that was found on some PATH."""
    if not _is_path(word, directory):
        return ""
    return os.path.normpath(os.path.join(directory, word))


def _is_path(word: str, directory: str) -> bool:
    """Whether a word leads to a file; one that begins in an unknown folder does not."""
    return word.startswith(os.sep) or (os.sep in word and directory != "")


def _on_path(program: str) -> str:
    """Find the name on the PATH that leads to a program, or the program itself."""
    known = shutil.which(PROGRAM)
    return known if known and os.path.realpath(known) == program else program
