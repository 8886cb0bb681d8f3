"""What a service starts, as systemd reads it: ExecStart=, its variables, and how it is added to.

systemd's rules for variables are those of systemd.service(5), tried with 252.
"""

from __future__ import annotations

import json
import pwd
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from reconciler.onhost import (
    environment_file,
    inner_systemd,
    properties,
    servers,
    systemctl,
)

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
    "UnsetEnvironment",
)
_AS_IS = "no-env-expand"
_SYSTEMD, _SERVICE = "org.freedesktop.systemd1", "org.freedesktop.systemd1.Service"
_OBJECT = "/org/freedesktop/systemd1/unit/"

_VARIABLE = re.compile(r"\$\$|\$\{(\w+)\}")
_ALONE = re.compile(r"\$(?![{$])(.*)", re.DOTALL)
_PLAIN = re.compile(r"[\w@%+=:,./${}-]+")


class ExecStart(NamedTuple):
    """The program that a service starts and its words as they are `written`.

    `how` is how systemd reads them, `state` what beside them it says of the service, and `shared`
    are the variables that it gives to every one.
    """

    name: str
    scope: str
    written: list[str]
    how: list[str]
    state: State
    shared: dict[str, str]

    def expanded(self) -> tuple[list[str], dict[str, str]]:
        """Read the words of the next start, and its variables; raise OSError for hidden ones."""
        variables = {
            **self.shared,
            **(_of_account(self.state["User"]) if self.scope == "system" else {}),
            **dict(_environment(self.state)),
        }
        for name in properties.words(self.state["UnsetEnvironment"]):
            variables.pop(name, None)
        is_as_is = _AS_IS in self.how
        return self.written if is_as_is else [*_expanded(self.written, variables)], variables

    @property
    def adding(self) -> str:
        """How words are added at its end, as a sentence that ends where these are to be named.

        It is shown and kept: what is secret in its words is hidden.
        """
        edit = systemctl.typed(self.scope, "edit", self.name)
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
    shared = systemctl.variables(scope)
    return ExecStart(name, scope, [program, *words[1:]], how, state, shared)


def _label(name: str) -> str:
    """Write a unit's name as a part of an object's path."""
    return "".join(one if one.isascii() and one.isalnum() else f"_{ord(one):02x}" for one in name)


def _of_account(user: str) -> dict[str, str]:
    """The variables that a service with User= is given of that account."""
    try:
        one = pwd.getpwnam(user)
    except KeyError:
        return {}
    return {"HOME": one.pw_dir, "USER": user, "LOGNAME": user, "SHELL": one.pw_shell}


def _environment(state: State) -> Iterator[tuple[str, str]]:
    """Yield the variables that a service is given by its unit; a later one wins."""
    for word in properties.words(state["Environment"]):
        yield word.partition("=")[::2]
    for path in properties.environment_files(state):
        with open(path, "rb") as file:
            text = file.read(properties.FILE_LIMIT).decode("utf-8", "replace")
        yield from environment_file.assigned(text)


def _expanded(words: Iterable[str], variables: Mapping[str, str]) -> Iterator[str]:
    """Yield words with their variables put in; one that is a variable alone may be several."""
    for word in words:
        alone = _ALONE.fullmatch(word)
        if alone:
            yield from _words(variables.get(alone[1], ""))
        else:
            yield _VARIABLE.sub(lambda found: _value(found, variables), word)


def _words(value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError:
        # A quote that is not closed; systemd takes it as it is, too.
        return value.split()


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
