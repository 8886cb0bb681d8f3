"""What a compose service needs before its container is made: an image, a free name, and a door.

The compose program would fetch or build a missing image. What its files say it writes out in one
form, whatever theirs is. Seen with docker-compose 1.29.2.
"""

from __future__ import annotations

from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING, NamedTuple

from reconciler.onhost import compose_labels, compose_program, docker_owned
from reconciler.onhost.docker_container import HeldContainer
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, Objection
from reconciler.onhost.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.onhost.compose_program import ComposeDefinition, ComposeProgram

_SEPARATORS = "-_"
"""Between project and service in the name of what is built: of version 2, and of those before."""

_NONE = "[]"

_written: Remembered[dict[str, str]] = Remembered(64)


class _Line(NamedTuple):
    indent: int
    key: str
    value: str


def lacking(found: ComposeProgram, definition: ComposeDefinition) -> Objection:
    """Tell what a service's container lacks before it can be made, "" where that is not known."""
    try:
        settings = _settings(found, definition)
        return (
            _image(found, definition, settings)
            or _name(definition, settings.get("container_name"))
            or _door(definition, settings)
        )
    except HostProblem:
        # An older podman-compose writes nothing out, and an engine may refuse a name.
        return NO_OBJECTION


def _image(
    found: ComposeProgram, definition: ComposeDefinition, settings: dict[str, str]
) -> Objection:
    service, name, is_built = definition.service, settings.get("image", ""), "build" in settings
    built = [f"{definition.project}{one}{service}" for one in _SEPARATORS]
    names = [name] if name else built if is_built else []
    has = ({"name": one, "socket": definition.socket} for one in names)
    if not names or any(map(docker_owned.has_image, has)):
        return NO_OBJECTION
    verb, word = ("build", "build") if is_built else ("fetch", "pull")
    typed = " ".join([*definition.typed(found.words), word, service])
    return Objection(f"there is no image {names[0]} here", f"{verb} it with `{typed}`")


def _name(definition: ComposeDefinition, name: str | None) -> Objection:
    """Tell that another container has the name that the service gives its own."""
    held = HeldContainer({"name": name, "socket": definition.socket}) if name else None
    seen = held.inspected() if held else None
    labels = seen["Config"]["Labels"] if seen else {}
    mine = (definition.project, definition.service)
    if held is None or seen is None or compose_labels.of(labels) == mine:
        return NO_OBJECTION
    remove = f"remove it (`{held.dialect.command} rm {name}`)"
    return Objection(
        f"there is another container {name}", f"{remove}, or change `container_name:` in its file"
    )


def _door(definition: ComposeDefinition, settings: dict[str, str]) -> Objection:
    mode, ports = settings.get("network_mode", ""), settings.get("ports", _NONE)
    # Without an image nothing is known of it; and the network of another container is its own.
    is_known = "image" in settings and ":" not in mode
    return unreached(definition) if is_known and mode != "host" and ports == _NONE else NO_OBJECTION


def unreached(definition: ComposeDefinition) -> Objection:
    """Tell that no port of the host leads to a service."""
    return Objection(
        f"{definition.named} is not on the host's network, and publishes no port on its loopback",
        "write `network_mode: host` at it in its compose file, or `ports:` with"
        " `127.0.0.1:PORT:PORT`",
    )


def _settings(found: ComposeProgram, definition: ComposeDefinition) -> dict[str, str]:
    def read() -> dict[str, str]:
        return told(compose_program.written_out(found, definition), definition.service)

    return _written.get((found, definition, *compose_program.stamps(definition)), read)


def told(text: str, service: str) -> dict[str, str]:
    """Read a service's settings in what a program wrote out, each as far as it is on one line."""
    lines = _within(_within([*_lines(text)], "services"), service)
    return {one.key: one.value for one in lines if one.indent == lines[0].indent}


def _lines(text: str) -> Iterator[_Line]:
    for line in filter(str.strip, text.splitlines()):
        key, _, value = line.partition(":")
        yield _Line(len(line) - len(line.lstrip()), _bare(key), _bare(value))


def _bare(word: str) -> str:
    return word.strip().strip("'\"")


def _within(lines: list[_Line], key: str) -> list[_Line]:
    """Take the lines below one of the outermost keys."""
    outermost = lines[0].indent if lines else 0
    rest = dropwhile(lambda one: (one.indent, one.key) != (outermost, key), lines)
    next(rest, None)
    return [*takewhile(lambda one: one.indent > outermost, rest)]
