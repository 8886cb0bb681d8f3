"""What a unit that exists already runs: the words of a service or a container, as it reads them.

Of what runs they are seen; of what does not, they are what its keeper would start. systemd's rules
for variables are those of systemd.service(5), tried with 252.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import TYPE_CHECKING, Any

from reconciler.onhost import (
    containers,
    docker,
    inner_systemd,
    lxc,
    lxc_words,
    procfs,
    properties,
    systemd,
)
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.onhost.properties import State

_FLAGS = "LLAMA_ARG_"
_SET = "lxc.environment"
_PROPERTIES = (
    "MainPID",
    "ControlGroup",
    "WorkingDirectory",
    "User",
    "Environment",
    "EnvironmentFiles",
)
_AS_IS = "no-env-expand"
_SYSTEMD, _SERVICE = "org.freedesktop.systemd1", "org.freedesktop.systemd1.Service"
_OBJECT = "/org/freedesktop/systemd1/unit/"
_ROOT = ("", "0", "root")

_VARIABLE = re.compile(r"\$\$|\$\{(\w+)\}")
_ALONE = re.compile(r"\$(\w+)")
_PLAIN = re.compile(r"[\w@%+=:,./${}-]+")
_COMMENTS = ("#", ";")


def of_container(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer what a container runs; raise HostProblem where there is none."""
    name, seen = request["name"], docker.inspected(request)
    if seen is None:
        raise HostProblem(f"there is no container {name}")
    config = seen["Config"]
    set_here = dict(word.partition("=")[::2] for word in config["Env"] or [])
    return {
        "words": [seen["Path"], *seen["Args"]],
        "variables": _of_flags(set_here),
        "directory": config["WorkingDir"] or "/",
        "reached": [one["Destination"] for one in seen["Mounts"] if one.get("Source")],
        "user": _other(config["User"].partition(":")[0]),
        "apart": seen["HostConfig"]["NetworkMode"] != "host",
        "adding": f"make container {name} again with these words at the end of its command: `",
    }


def of_lxc(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer what a container of LXC runs; raise HostProblem where there is none."""
    keeper = lxc_words.keeper(request)
    file = lxc.file_of(keeper)
    if file is None:
        raise HostProblem(f"there is no {keeper.what}")
    one = lxc.init_of(keeper)
    seen = _running(one["pid"], "") if one else None
    set_here = dict(value.partition("=")[::2] for key, value in file.keys if key == _SET)
    words = shlex.split(file.value("lxc.init.cmd"))
    return {
        "words": words,
        "problem": "" if words or seen else f"{keeper.what} has stopped, and its init is its own",
        "variables": _of_flags(set_here),
        "directory": file.value("lxc.init.cwd") or "/",
        "reached": [mounted for mounted, source in file.mounts if source],
        "apart": bool(file.network),
        "adding": f"add to the end of lxc.init.cmd in {file.path} `",
        **(seen or {}),
    }


def of_service(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer what a service runs, and how it is added to."""
    name, scope = request["name"], request["scope"]
    state, started = _shown(name, scope), _started(name, scope)
    if started is None:
        return {"problem": f"{name} runs nothing"}
    pid = int(state["MainPID"] or 0)
    path, argv, how = started
    client = os.path.basename(path)
    if client in containers.CLIENTS:
        return {"problem": f"{name} runs a container ({client}), into which is not looked here"}
    written = [path, *argv[1:]]
    beside = {
        "directory": state["WorkingDirectory"].lstrip("!-") or "/",
        "user": "" if scope == "user" else _other(state["User"]),
        "adding": f"{systemd.typed(scope, f'edit {name}')}, then write there `[Service]`,"
        f" `ExecStart=` and, on one line, `ExecStart={_typed(written, how)} ",
    }
    try:
        seen = _running(pid, path) or _next(written, how, state)
    except OSError as error:
        return {**beside, "problem": f"{error.filename}, its environment, cannot be read"}
    return {**beside, **seen}


def _running(pid: int, path: str) -> dict[str, Any] | None:
    """Describe what runs now, None where nothing does or its environment is hidden."""
    words, variables = procfs.argv(pid) if pid else [], procfs.environment(pid) if pid else {}
    if not words or not variables:
        return None
    # A name without a slash was found on systemd's own path.
    words[0] = words[0] if "/" in words[0] else path or words[0]
    return {"words": words, "variables": _of_flags(variables)}


def _next(written: list[str], how: list[str], state: State) -> dict[str, Any]:
    """Describe what the next start would run; raise OSError for an environment that is hidden."""
    variables = dict(_environment(state))
    words = written if _AS_IS in how else [*_expanded(written, variables)]
    return {"words": words, "variables": _of_flags(variables)}


def _of_flags(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(_FLAGS)}


def _other(user: str) -> str:
    """Name the user whose files a unit writes, "" where that is ours or keeps nothing from us."""
    uid = os.geteuid()
    if uid == 0 or user in (procfs.account(uid), str(uid)):
        return ""
    return "root" if user in _ROOT else user


def _shown(name: str, scope: str) -> State:
    wanted = f"--property={','.join(_PROPERTIES)}"
    argv = ["systemctl", systemd.whose(scope), "--no-pager", "show", wanted, name]
    state = properties.states(systemd.run(argv, scope), _PROPERTIES)[0]
    return inner_systemd.as_seen_outside(state, scope)


def _started(name: str, scope: str) -> tuple[str, list[str], list[str]] | None:
    """Find the program that a service starts, its words, and how systemd reads them."""
    # `systemctl show` prints words without quotes, so that where each ends is not seen.
    asked = ["busctl", systemd.whose(scope), "--json=short", "get-property", _SYSTEMD]
    text = systemd.run([*asked, _OBJECT + _label(name), _SERVICE, "ExecStartEx"], scope)
    commands = json.loads(text)["data"]
    if not commands:
        return None
    path, words, how = commands[0][:3]
    return path, words, how


def _label(name: str) -> str:
    """Write a unit's name as a part of an object's path."""
    return "".join(one if one.isascii() and one.isalnum() else f"_{ord(one):02x}" for one in name)


def _environment(state: State) -> Iterator[tuple[str, str]]:
    """Yield the variables that a service is given by its unit; a later one wins."""
    for word in properties.words(state["Environment"]):
        yield word.partition("=")[::2]
    for path in properties.environment_files(state):
        with open(path, "rb") as file:
            yield from _assigned(file.read(properties.FILE_LIMIT).decode("utf-8", "replace"))


def _assigned(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\\\n", "").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith(_COMMENTS):
            yield name.strip(), _unquoted(value.strip())


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


def _expanded(words: Iterable[str], variables: Mapping[str, str]) -> Iterator[str]:
    """Yield words with their variables put in; one that is a variable alone may be several."""
    for word in words:
        alone = _ALONE.fullmatch(word)
        if alone:
            yield from variables.get(alone[1], "").split()
        else:
            yield _VARIABLE.sub(lambda found: _value(found, variables), word)


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    return variables.get(found[1], "") if found[1] else "$"


def _typed(words: list[str], how: list[str]) -> str:
    """Write words as ExecStart= takes them."""
    prefix = ":" if _AS_IS in how else ""
    return prefix + " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    word = word.replace("%", "%%")
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
