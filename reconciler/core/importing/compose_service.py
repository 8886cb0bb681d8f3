"""Compose service: what one says of its container, however it is written."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from posixpath import basename, join, normpath
from typing import NamedTuple

from pydantic import JsonValue

from reconciler.model.compose_text import Variables

PROGRAM = "llama-server"
_SHORTEST = 2


class Published(NamedTuple):
    """A port of the host, and the one in the container that it leads to."""

    outside: int
    inside: int


class ComposeService(NamedTuple):
    """A service by its name, with its variables put in."""

    name: str
    keys: Mapping[str, JsonValue]

    @property
    def image(self) -> str:
        """Its image, empty where it is built."""
        return _word(self.keys.get("image"))

    @property
    def restart(self) -> str:
        """When its engine starts it again by itself."""
        return _word(self.keys.get("restart")) or "no"

    @property
    def flags(self) -> tuple[str, ...] | None:
        """The flags of its llama-server, None where its program is another one or not known."""
        words = (*_words(self.keys.get("entrypoint")), *_words(self.keys.get("command")))
        if words and basename(words[0]).startswith(PROGRAM):
            return words[1:]
        # Without an entrypoint it is the image's.
        is_server = "llama.cpp" in self.image and self.image.rpartition(":")[2].startswith("server")
        return words if is_server and not self.keys.get("entrypoint") else None

    @property
    def env_files(self) -> tuple[str, ...]:
        """The files that its variables come from; a later one wins."""
        named = self.keys.get("env_file")
        found = named if isinstance(named, list) else [named]
        return tuple(
            _word(one.get("path") if isinstance(one, dict) else one) for one in found if one
        )

    def variables(self, files: Mapping[str, Variables | None], outer: Variables) -> dict[str, str]:
        """Collect its variables; one without a value has that of `outer`."""
        found: dict[str, str] = {}
        for name in self.env_files:
            found |= files.get(name) or {}
        return {**found, **dict(_assigned(self.keys.get("environment"), outer))}

    @property
    def published(self) -> tuple[Published, ...]:
        """The ports that the host has for it; ranges and random ones are left out."""
        ports = self.keys.get("ports")
        found = (_published(one) for one in ports) if isinstance(ports, list) else ()
        return tuple(one for one in found if one is not None)

    def mounts(self, folder: str) -> dict[str, str]:
        """List what of the host its container has, by where it has that."""
        volumes = self.keys.get("volumes")
        found = (_mount(one, folder) for one in volumes) if isinstance(volumes, list) else ()
        return dict(pair for pair in found if pair is not None)


def _word(value: JsonValue) -> str:
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def _words(value: JsonValue) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(map(_word, value))
    try:
        return tuple(shlex.split(_word(value)))
    except ValueError:
        return tuple(_word(value).split())


def _assigned(value: JsonValue, outer: Variables) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        pairs: Sequence[tuple[str, JsonValue]] = list(value.items())
    else:
        words = value if isinstance(value, list) else ()
        split = (_word(one).partition("=") for one in words)
        pairs = [(name, text if equals else None) for name, equals, text in split]
    for name, text in pairs:
        if text is not None:
            yield name, _word(text)
        elif name in outer:
            yield name, outer[name]


def _published(value: JsonValue) -> Published | None:
    if isinstance(value, dict):
        outside, inside = _word(value.get("published")), _word(value.get("target"))
    else:
        *before, inside = _word(value).partition("/")[0].split(":")
        outside = before[-1] if before else ""
    is_known = outside.isdecimal() and inside.isdecimal()
    return Published(int(outside), int(inside)) if is_known else None


def _mount(value: JsonValue, folder: str) -> tuple[str, str] | None:
    """Read a mount as where it is in the container, and on the host; None for a named volume."""
    if isinstance(value, dict):
        source, target = _word(value.get("source")), _word(value.get("target"))
    else:
        parts = _word(value).split(":")
        source, target = (parts[0], parts[1]) if len(parts) >= _SHORTEST else ("", "")
    # A named volume has no path before it is made, and ~ is another user's elsewhere.
    is_path = source.startswith(("/", "."))
    return (target.rstrip("/"), normpath(join(folder, source))) if is_path else None
