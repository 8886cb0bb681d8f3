"""What a service starts, as systemd reads it: ExecStart=, its variables, and how it is added to.

systemd's rules for variables are those of systemd.service(5), tried with 252.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from reconciler.onhost import inner_systemd, properties, servers, systemctl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.onhost.properties import State

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

_VARIABLE = re.compile(r"\$\$|\$\{(\w+)\}")
_ALONE = re.compile(r"\$(\w+)")
_PLAIN = re.compile(r"[\w@%+=:,./${}-]+")
_COMMENTS = ("#", ";")


class ExecStart(NamedTuple):
    """The program that a service starts and its words as they are `written`.

    `how` is how systemd reads them, and `state` what beside them it says of the service.
    """

    name: str
    scope: str
    written: list[str]
    how: list[str]
    state: State

    def expanded(self) -> tuple[list[str], dict[str, str]]:
        """Read the words of the next start, and its variables; raise OSError for hidden ones."""
        variables = dict(_environment(self.state))
        is_as_is = _AS_IS in self.how
        return self.written if is_as_is else [*_expanded(self.written, variables)], variables

    @property
    def adding(self) -> str:
        """How words are added at its end, as a sentence that ends where these are to be named.

        It is shown and kept: what is secret in its words is hidden.
        """
        edit = systemctl.typed(self.scope, f"edit {self.name}")
        return (
            f"{edit}, then write there `[Service]`, `ExecStart=` and, on one line,"
            f" `ExecStart={_typed(servers.without_secrets(self.written), self.how)} "
        )


def read(name: str, scope: str) -> ExecStart | None:
    """Read what a service starts, None where it has no ExecStart=; raise HostProblem."""
    state = systemctl.shown(name, scope, _PROPERTIES)
    # `systemctl show` prints words without quotes, so that where each ends is not seen.
    asked = ["busctl", systemctl.whose(scope), "--json=short", "get-property", _SYSTEMD]
    text = systemctl.run([*asked, _OBJECT + _label(name), _SERVICE, "ExecStartEx"], scope)
    commands = json.loads(text)["data"]
    if not commands:
        return None
    path, words, how = commands[0][:3]
    # What is in a container is found in there.
    program = path if inner_systemd.container(scope) else properties.found(path)
    return ExecStart(name, scope, [program, *words[1:]], how, state)


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
