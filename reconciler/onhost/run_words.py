"""The words of `podman run` and `docker run`: what they mount, which image, and what is run in it.

Source: podman-run(1), tried with 4.3.1, and docker-run(1) of 20.10.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCHES = frozenset(
    (
        "--detach",
        "--disable-content-trust",
        "--env-host",
        "--help",
        "--http-proxy",
        "--init",
        "--interactive",
        "--no-healthcheck",
        "--no-hosts",
        "--oom-kill-disable",
        "--passwd",
        "--privileged",
        "--publish-all",
        "--quiet",
        "--read-only",
        "--read-only-tmpfs",
        "--replace",
        "--rm",
        "--rmi",
        "--rootfs",
        "--sig-proxy",
        "--tls-verify",
        "--tty",
        "--unsetenv-all",
    )
)
"""Options that take no word after them; any other does."""

_SHORT_SWITCHES = "ditPq"
_LONG = {"-v": "--volume", "-e": "--env", "-u": "--user", "-w": "--workdir", "--net": "--network"}
_UNREAD = frozenset(
    (
        "--env-file",
        "--env-host",
        "--env-merge",
        "--gidmap",
        "--pod",
        "--pod-id-file",
        "--rootfs",
        "--subuidname",
        "--uidmap",
        "--unsetenv",
        "--unsetenv-all",
        "--userns",
        "--volumes-from",
    )
)
"""Options of which more than a word decides what they do."""

_OVERLAY = "O"
"""Of a volume: what is written there does not reach the host."""

Mounts = list[tuple[str, str]]
"""Each a path in a container and one on its host, "" for what the host has no path for."""


class RunWords(NamedTuple):
    """What a client is told to run: `client` is that with its own options."""

    client: list[str]
    options: list[tuple[str, str]]
    image: str
    argv: list[str]

    def values(self, name: str) -> list[str]:
        """List what an option is given."""
        return [value for one, value in self.options if one == name]

    def last(self, name: str) -> str | None:
        """Find what an option is given last, None without it."""
        return next(iter(reversed(self.values(name))), None)

    @property
    def mounts(self) -> Mounts:
        """List what is mounted in the container."""
        return [
            *map(_volume, self.values("--volume")),
            *map(_mount, self.values("--mount")),
            *((text.partition(":")[0], "") for text in self.values("--tmpfs")),
        ]


def read(words: list[str]) -> RunWords:
    """Read a command line; raise HostProblem for one that does not say itself what it runs."""
    if "run" not in words:
        raise HostProblem(
            f"`{_typed(words[:2])}` starts a container that exists; let the model be that"
            " container, with `launcher: {kind: docker, container: NAME}`"
        )
    at = words.index("run")
    client = [word for word in words[:at] if word != "container"]
    rest = deque(words[at + 1 :])
    options = [*_options(rest)]
    unread = next((name for name, _ in options if name in _UNREAD), "")
    if unread:
        raise HostProblem(f"what `{unread}` does to its container is not read here")
    return RunWords(client, options, _taken(rest), [*rest])


def _typed(words: list[str]) -> str:
    return " ".join([os.path.basename(words[0]), *words[1:]])


def _options(words: deque[str]) -> Iterator[tuple[str, str]]:
    """Take the options before an image off the words."""
    while words and words[0].startswith("-"):
        word = words.popleft()
        if word == "--":
            return
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            has_none = equals or name in SWITCHES
            yield _LONG.get(name, name), value if has_none else _taken(words)
        else:
            yield from _short(word[1:], words)


def _short(letters: str, words: deque[str]) -> Iterator[tuple[str, str]]:
    """Read options of one letter, of which the last may have its value behind it."""
    for at, letter in enumerate(letters, 1):
        name = f"-{letter}"
        if letter not in _SHORT_SWITCHES:
            value = letters[at:].removeprefix("=")
            yield _LONG.get(name, name), value or _taken(words)
            return
        yield name, ""


def _taken(words: deque[str]) -> str:
    if not words:
        raise HostProblem("the command line of its container ends before it names an image")
    return words.popleft()


def _volume(text: str) -> tuple[str, str]:
    source, *rest = text.split(":")
    if not rest:
        return source, ""
    is_path = source.startswith("/") and _OVERLAY not in rest[1:2]
    return rest[0], source if is_path else ""


def _mount(text: str) -> tuple[str, str]:
    given = dict(field.partition("=")[::2] for field in text.split(","))
    source = given.get("source") or given.get("src") or ""
    mounted = given.get("target") or given.get("destination") or given.get("dst") or ""
    return mounted, source if given.get("type") == "bind" else ""
