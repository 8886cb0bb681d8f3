"""The service in which a compose program waits for the containers of a project.

`docker compose up` without `-d` ends once all that it waits for has ended, with status 0. Where
systemd then starts it again, it starts them again. Seen with docker-compose 1.29.2.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from reconciler.onhost import commands, compose_labels, container_engine, procfs, services

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.onhost.container_engine import KeptContainer

SECONDS = 5.0
_PROGRAMS = ("docker-compose", "podman-compose")
_WITH_PLUGIN = ("docker", "podman")
_UP = "up"
_LEAVES = ("--detach", "--wait", "--no-start")
_VALUED = (
    "-t",
    "--timeout",
    "--scale",
    "--exit-code-from",
    "--attach",
    "--no-attach",
    "--pull",
    "--wait-timeout",
)
"""Options of `up` that have a word after them."""

_AGAIN = ("always", "on-success")
"""Of `Restart=`, what starts a service again that ended with status 0."""


class ComposeUp(NamedTuple):
    """A compose program that waits: where it works, and its words before and after `up`."""

    folder: str
    before: list[str]
    after: list[str]

    def is_of(self, labels: Mapping[str, str]) -> bool:
        """Whether it waits for a container with these labels."""
        names = [*_names(self.after)]
        is_named = not names or labels.get(compose_labels.SERVICE) in names
        return is_named and self._has_project(labels)

    def _has_project(self, labels: Mapping[str, str]) -> bool:
        name = _value(self.before, "-p", "--project-name")
        if name:
            return name == labels.get(compose_labels.PROJECT)
        file = _value(self.before, "-f", "--file")
        if file:
            files = (os.path.realpath(one) for one in compose_labels.files(labels))
            return os.path.realpath(os.path.join(self.folder, file)) in files
        folder = os.path.join(self.folder, _value(self.before, "--project-directory"))
        made_in = labels.get(compose_labels.FOLDER, "")
        return bool(made_in) and os.path.realpath(folder) == os.path.realpath(made_in)


def service(one: KeptContainer, proc: str = "/proc") -> dict[str, str] | None:
    """Find the service that starts a container again once it is stopped, None where none does."""
    labels: Mapping[str, str] = one.seen["Config"]["Labels"]
    if compose_labels.PROJECT not in labels or compose_labels.is_oneoff(labels):
        return None
    found = (_service(pid, one, proc) for pid in procfs.pids(proc))
    return next((each for each in found if each), None)


def _service(pid: int, one: KeptContainer, proc: str) -> dict[str, str] | None:
    words = _words(procfs.argv(pid, proc))
    found = services.service(pid, proc) if words else None
    if words is None or found is None:
        return None
    before, after = words
    shown = _shown(found)
    folder = procfs.link(f"{proc}/{pid}/cwd") or shown.get("WorkingDirectory", "").lstrip("!-")
    up = ComposeUp(folder, before, after)
    labels = one.seen["Config"]["Labels"]
    is_again = shown.get("Restart") in _AGAIN and up.is_of(labels)
    return found if is_again and _is_last(one, up) else None


def _words(typed: list[str]) -> tuple[list[str], list[str]] | None:
    """Split the words of a compose program that waits, None of any other program."""
    if _UP not in typed:
        return None
    at = typed.index(_UP)
    before, after = typed[:at], typed[at + 1 :]
    # A script has its interpreter before it.
    names = [os.path.basename(word) for word in before[:2]]
    is_plugin = "compose" in before and names[0] in _WITH_PLUGIN
    is_compose = is_plugin or any(name in _PROGRAMS for name in names)
    return (before, after) if is_compose and not any(map(_leaves, after)) else None


def _leaves(word: str) -> bool:
    """Whether an option says that the program does not wait."""
    is_short = word.startswith("-") and not word.startswith("--")
    return (is_short and "d" in word) or word.partition("=")[0] in _LEAVES


def _names(after: list[str]) -> Iterator[str]:
    """Yield the services that are named after `up`."""
    rest = iter(after)
    for word in rest:
        if word in _VALUED:
            next(rest, None)
        elif not word.startswith("-"):
            yield word


def _value(words: list[str], *flags: str) -> str:
    return next((value for flag in flags for value in procfs.values(words, flag)), "")


def _shown(found: Mapping[str, str]) -> dict[str, str]:
    """Read when systemd starts a service again, and where it works; {} where it does not tell."""
    wanted = commands.properties(("Restart", "WorkingDirectory"))
    argv = ["systemctl", f"--{found['scope']}", "--no-pager", "show", *wanted, "--", found["name"]]
    where = {"XDG_RUNTIME_DIR": commands.runtime_directory()}
    try:
        return commands.pairs(commands.run(argv, SECONDS, where).out)
    except (OSError, commands.Late):
        return {}


def _is_last(one: KeptContainer, up: ComposeUp) -> bool:
    """Whether nothing else runs that the program waits for: until then it does not end."""
    project = one.seen["Config"]["Labels"][compose_labels.PROJECT]
    running = container_engine.labelled(one.socket, f"{compose_labels.PROJECT}={project}")
    others = (each["Labels"] for each in running if each["Id"] != one.seen["Id"])
    return not any(up.is_of(each) and not compose_labels.is_oneoff(each) for each in others)
