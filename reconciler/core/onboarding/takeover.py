"""Takeover: what to do about servers that somebody else started, before ours can have their ports or look at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from shlex import quote
from typing import NamedTuple

from reconciler.core.onboarding.draft_files import Candidate
from reconciler.model.machine import LOOPBACK, Machine, Server
from reconciler.model.origin import ROOT, Container, Service

_SECRETS = ("--api-key", "-hft", "--hf-token")
"""Flags whose values a machine does not give away."""

_HIDING = ("--api-prefix", "--no-slots", "--ssl-key-file", "--ssl-cert-file")
"""Flags of a server that nobody can look at over plain http."""

_SEEN = (
    "127.0.0.1",
    "localhost",
    "0.0.0.0",  # noqa: S104 - what a server listens on that can be reached on loopback
    "::",
)

UNIT = """# A unit that runs exactly what pid {pid} ran by hand, if you want systemd to keep it instead of reconciler:
#   cp {file} ~/.config/systemd/user/ && kill {pid}
#   systemctl --user daemon-reload && systemctl --user enable --now {file}
#   loginctl enable-linger                # it stays when you log out
# Its environment is not in here; add what it needs with Environment= lines.{secrets}
[Unit]
Description=llama-server {name}

[Service]
WorkingDirectory={directory}
ExecStart={command}
Restart=on-failure

[Install]
WantedBy=default.target
"""


class TakeoverStep(NamedTuple):
    """One command, and why, in sentences.

    The command is empty where only those can say what to do.
    """

    command: str
    why: tuple[str, ...]


def steps(machine: Machine, found: Iterable[Candidate]) -> tuple[TakeoverStep, ...]:
    """Return what to run before `reconciler apply`, a command for every server that is in the way or cannot be looked at."""
    strangers = [
        (one.name, one.server)
        for one in found
        if one.server is not None and one.server.model is None
    ]
    return tuple(step for name, server in strangers for step in _steps(machine, name, server))


def units(found: Iterable[Candidate]) -> Mapping[str, str]:
    """Return a unit file for every server that was started by hand, by file name."""
    started = [
        (f"{one.name}.service", one)
        for one in found
        if one.server is not None and one.server.model is None
    ]
    return {
        file: _unit(file, one.name, one.server)
        for file, one in started
        if one.server and _by_hand(one.server)
    }


def _by_hand(server: Server) -> bool:
    return server.by_hand and not server.socket and bool(server.program)


def _steps(machine: Machine, name: str, server: Server) -> Iterator[TakeoverStep]:
    service = machine.service_of(server)
    hiding = _hiding(server)
    if service is None:
        yield _step(machine, name, server)
        return
    if server.key_source and not server.key_file:
        yield _named_key(machine, name, server, service)
    if hiding:
        systemctl = (
            "systemctl --user"
            if service.scope == "user"
            else f"{'' if machine.user == 'root' else 'sudo '}systemctl"
        )
        yield TakeoverStep(
            f"{systemctl} edit --full {quote(service.name)} && {systemctl} restart"
            f" {quote(service.name)}",
            (
                (
                    f"{name} keeps running as {service.name}, and is looked at on 127.0.0.1 over"
                    " plain http."
                ),
                (
                    f"Take {', '.join(hiding)} out of its ExecStart=: with it, nobody could see"
                    f" what {name} is doing."
                ),
                *(
                    [f"Write `--port {server.port}` there, which is the port in inventory.yaml."]
                    if server.socket
                    else []
                ),
            ),
        )


def _named_key(machine: Machine, name: str, server: Server, service: Service) -> TakeoverStep:
    """Return what to do about a key that is nowhere but in a service: until it is named, the service goes on, unseen."""
    return TakeoverStep(
        "",
        (
            f"{name} keeps running as {service.name}, and wants an API key ({server.key_source}).",
            (
                f"Put the key into a file that only {machine.user} may read, and name that as"
                f" `key:` of {name} in inventory.yaml."
            ),
            f"Until then nobody looks at {name}, and it is not stopped for another model.",
        ),
    )


def _hiding(server: Server) -> list[str]:
    """Return the flags with which nobody can look at a server."""
    place = _place(server)
    flags = [
        name
        for name in dict.fromkeys(word.partition("=")[0] for word in server.flags)
        if name in _HIDING
    ]
    return [*flags, *([] if place in _SEEN else [f"--host {place}"])]


def _step(machine: Machine, name: str, server: Server) -> TakeoverStep:
    why = (
        (
            f"{name} is served by pid {server.pid}, which reconciler did not start; its"
            " conversations end with it."
        ),
        *_reach(server),
    )
    if server.container is not None:
        return _of_container(machine, server.container, why)
    if server.supervisor:
        return TakeoverStep(
            "",
            (
                *why,
                f"{server.supervisor} started it and starts it again after a kill: end it there.",
            ),
        )
    service = server.service
    if service is None:
        return TakeoverStep(f"{_as(machine, server.user)}kill {server.pid}", why)
    return TakeoverStep(
        _disable(machine, service, server.user),
        (*why, f"{service.name} would start it again after a kill."),
    )


def _of_container(machine: Machine, container: Container, why: tuple[str, ...]) -> TakeoverStep:
    """Return how a container is ended by what runs it: after a kill, that may start it again."""
    inside = (
        f"It runs in {container.shown}, which cannot be taken over in this version: reconciler"
        " starts its weights outside."
    )
    if container.service is not None:
        again = (
            f"{container.service.name} runs the container, and would start it again after a kill."
        )
        return TakeoverStep(
            _disable(machine, container.service, container.user), (*why, inside, again)
        )
    if not container.ending:
        return TakeoverStep(
            "", (*why, inside, "End it where it is run: after a kill it is started again.")
        )
    sudo = (
        ""
        if container.user == machine.user
        else "sudo "
        if container.user == ROOT
        else f"sudo -u {container.user} "
    )
    return TakeoverStep(
        f"{sudo}{container.ending}",
        (*why, inside, "After a kill its restart policy may start it again."),
    )


def _disable(machine: Machine, service: Service, user: str) -> str:
    """Return how a service, or one of a user's own, is ended for good."""
    if service.scope == "system":
        return f"{_as(machine, ROOT)}{service.ending}"
    of_whom = "" if user == machine.user else f"-M {user}@ "
    return f"{_as(machine, user)}systemctl --user {of_whom}disable --now {quote(service.name)}"


def _as(machine: Machine, user: str) -> str:
    """Return what a command begins with that acts on what is a user's."""
    return "" if machine.user in {user, ROOT} else "sudo "


def _reach(server: Server) -> tuple[str, ...]:
    """Say who cannot reach it any more."""
    if server.socket:
        return (
            (
                f"It listens on the Unix socket {server.socket}; ours listens on port {server.port}"
                " of loopback, for its clients."
            ),
        )
    place = _place(server)
    away = (
        f"Clients on other machines reach it on {place}; ours listens on loopback alone, so put a"
        " proxy before it."
    )
    return () if place in LOOPBACK else (away,)


def _place(server: Server) -> str:
    """Return the address that a server listens on."""
    words = [part for word in server.flags for part in word.split("=", 1)]
    return ["127.0.0.1", *(value for flag, value in pairwise(words) if flag == "--host")][-1]


def _unit(file: str, name: str, server: Server) -> str:
    kept, hidden = _public(server.flags)
    secrets = "".join(
        f"\n# {flag} is a secret and was left out; LLAMA_API_KEY in an EnvironmentFile= can hold a"
        " key."
        for flag in hidden
    )
    command = " ".join(_word(word) for word in (server.program, *kept))
    directory = _specifiers(server.directory or "~")
    return UNIT.format(
        pid=server.pid, file=file, name=name, directory=directory, command=command, secrets=secrets
    )


def _public(flags: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the flags without secrets, and the names of those."""
    kept: list[str] = []
    hidden: list[str] = []
    value_follows = False
    for word in flags:
        name, equals, _ = word.partition("=")
        if name in _SECRETS:
            hidden.append(name)
            value_follows = not equals
        elif value_follows:
            value_follows = False
        else:
            kept.append(word)
    return kept, hidden


def _word(word: str) -> str:
    """Return a word as systemd reads it back (systemd.service(5), command lines)."""
    escaped = _specifiers(word).replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return escaped if escaped and not any(one in escaped for one in " '\";\t") else f'"{escaped}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")
