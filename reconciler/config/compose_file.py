"""Read a compose file, the `.env` beside it, and the files with variables of its services."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.config import yaml_positions
from reconciler.errors import ConfigError
from reconciler.model.compose_text import ComposeText

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

    from reconciler.config.yaml_document import Document
    from reconciler.model.compose_text import Variables

LIMIT = 1024 * 1024
_EXPORT = "export "


def read(path: str, environment: Mapping[str, str]) -> ComposeText:
    """Read a file with all that belongs to it; raise ConfigError.

    The environment wins over `.env`, as it does for compose.
    """
    place = Path(path)
    document = _document(place)
    beside = _variables(place.parent / ".env") or {}
    lines = {key: one.line for key, one in {**document.values, **document.keys}.items()}
    names = dict.fromkeys(_files(document.value))
    files = {name: _variables(place.parent / name) for name in names}
    return ComposeText(
        path, str(place.absolute()), document.value, lines, {**beside, **environment}, files
    )


def _document(path: Path) -> Document:
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise ConfigError(
            f"{path} cannot be read: {why}; name the compose file, or take the containers that"
            " exist with `reconciler import docker DIR`"
        ) from error
    document = yaml_positions.parse(content)
    flaws = [f"{path}:{one.place.line}: {one.sentence}" for one in document.flaws]
    if not flaws and not isinstance(_services(document.value), dict):
        expected = f"expected a compose file{_hint(document)}"
        flaws = [f"{path}:1: found no `services:` with a mapping, {expected}"]
    if flaws:
        raise ConfigError("\n".join(flaws))
    return document


def _hint(document: Document) -> str:
    """Tell what a file is that others import, "" where it is not known."""
    place = document.keys.get(("models",))
    if place is None:
        return ""
    return f"; `models:` in line {place.line} is llama-swap's, which this version does not import"


def _services(value: JsonValue) -> JsonValue:
    return value.get("services") if isinstance(value, dict) else None


def _files(value: JsonValue) -> Iterator[str]:
    """Yield the names of the files that services take variables from, as they are written."""
    services = _services(value)
    for service in services.values() if isinstance(services, dict) else ():
        named = service.get("env_file") if isinstance(service, dict) else None
        for one in named if isinstance(named, list) else [named]:
            path = one.get("path") if isinstance(one, dict) else one
            if isinstance(path, str):
                yield path


def _variables(path: Path) -> Variables | None:
    """Read NAME=value lines, None where there is no such file, or none that can be read."""
    try:
        with path.open("rb") as file:
            text = file.read(LIMIT).decode("utf-8", "replace")
    except OSError:
        return None
    lines = (line.strip().removeprefix(_EXPORT) for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name.strip(): _unquoted(value.strip()) for name, equals, value in pairs if equals}


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()
