"""The image of a compose service, which has to be there before its container is made.

The compose program would fetch or build a missing one as it starts the service. What its files say
it writes out in one form, whatever theirs is. Seen with docker-compose 1.29.2.
"""

from __future__ import annotations

from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING, NamedTuple

from reconciler.onhost import compose_program, docker_owned
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, Objection
from reconciler.onhost.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.onhost.compose_program import ComposeDefinition, ComposeProgram

_SEPARATORS = "-_"
"""Between project and service in the name of what is built: of version 2, and of those before."""

_written: Remembered[dict[str, str]] = Remembered(64)


class _Line(NamedTuple):
    indent: int
    key: str
    value: str


def missing(found: ComposeProgram, definition: ComposeDefinition) -> Objection:
    """Tell how a service's image is brought, "" where it is there or it is not known which."""
    service, settings = definition.service, _settings(found, definition)
    is_built, name = "build" in settings, settings.get("image", "")
    built = [f"{definition.project}{one}{service}".lower() for one in _SEPARATORS]
    names = [name] if name else built if is_built else []
    has = ({"name": one, "socket": definition.socket} for one in names)
    if not names or any(map(docker_owned.has_image, has)):
        return NO_OBJECTION
    verb, word = ("build", "build") if is_built else ("fetch", "pull")
    typed = " ".join([*definition.typed(found.words), word, service])
    return Objection(f"there is no image {names[0]} here", f"{verb} it with `{typed}`")


def _settings(found: ComposeProgram, definition: ComposeDefinition) -> dict[str, str]:
    def read() -> dict[str, str]:
        return told(compose_program.written_out(found, definition), definition.service)

    try:
        return _written.get((found, definition, *compose_program.stamps(definition)), read)
    except HostProblem:
        # An older podman-compose writes nothing out.
        return {}


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
