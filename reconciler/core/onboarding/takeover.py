"""Takeover: what to do about servers that reconciler did not start, before the first `apply`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from shlex import quote
from typing import NamedTuple

from reconciler.core.onboarding.candidates import Candidate
from reconciler.core.onboarding.kept import Kept, kept
from reconciler.model.machine import LOOPBACK, Machine, Server
from reconciler.model.origin import ENGINES, LXC, ROOT, Container, Service

_SECRETS = ("--api-key", "-hft", "--hf-token")
"""Flags whose values a machine does not give away."""

_HIDING = ("--api-prefix", "--no-slots", "--ssl-key-file", "--ssl-cert-file")
"""Flags with which a server cannot be looked at over plain http on the loopback."""

_SEEN = (
    "127.0.0.1",
    "localhost",
    "0.0.0.0",  # noqa: S104 - what a server listens on that can be reached on loopback
    "::",
)

UNIT = """# Runs exactly what pid {pid} ran by hand, if systemd should keep it and not reconciler:
#   cp {file} ~/.config/systemd/user/ && kill {pid}
#   systemctl --user daemon-reload && systemctl --user enable --now {file}
#   loginctl enable-linger                # keeps it running when you log out
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
    """One command, empty where only sentences can say what to do, and why, in sentences."""

    command: str
    why: tuple[str, ...]


def steps(machine: Machine, found: Iterable[Candidate]) -> tuple[TakeoverStep, ...]:
    """List what to run before `reconciler apply` about what is in the way or cannot be seen."""
    return tuple(
        step for name, server in _strangers(found) for step in _steps(machine, name, server)
    )


def _strangers(found: Iterable[Candidate]) -> Iterator[tuple[str, Server]]:
    for one in found:
        if one.server is not None and one.server.model is None:
            yield one.name, one.server


def _steps(machine: Machine, name: str, server: Server) -> Iterator[TakeoverStep]:
    keeper = kept(server, machine)
    if keeper is None:
        yield _ended(machine, name, server)
        return
    if server.container is not None and server.container.service is not None:
        yield _left_alone(machine, name, server.container, server.container.service, keeper)
    if server.key_source and not server.key_file:
        yield _named_key(machine, name, server, keeper)
    if _hiding(machine, server):
        yield _opened(machine, name, server, keeper)


def _left_alone(
    machine: Machine, name: str, container: Container, service: Service, keeper: Kept
) -> TakeoverStep:
    """Tell how a service is kept from starting a container that is started by us."""
    again = f"{service.name} starts that again whenever it is stopped."
    why = (
        f"{name} keeps running as {keeper.shown}, and {again}",
        f"The command ends it, with its conversations; the next `apply` starts {name} again.",
    )
    return TakeoverStep(_disable(machine, service, container.user), why)


def _named_key(machine: Machine, name: str, server: Server, keeper: Kept) -> TakeoverStep:
    """Tell what to do about a key that its keeper alone has: until it is named, it runs unseen."""
    file = (
        f"Put the key into a file that only {machine.user} may read, and name that as `key:` of"
        f" {name} in inventory.yaml."
    )
    why = (
        f"{name} keeps running as {keeper.shown}, and wants an API key ({server.key_source}).",
        file,
        f"Until then what {name} does cannot be seen, and it is not stopped for another model.",
    )
    return TakeoverStep("", why)


def _hiding(machine: Machine, server: Server) -> list[str]:
    """List the flags with which a server cannot be looked at."""
    names = dict.fromkeys(word.partition("=")[0] for word in server.flags)
    place, container = _place(server), machine.held_in(server)
    # In a network of its own, loopback is another one.
    is_seen = place in _SEEN or (container is not None and container.network != "host")
    elsewhere = [] if is_seen else [f"--host {place}"]
    return [*(name for name in names if name in _HIDING), *elsewhere]


def _opened(machine: Machine, name: str, server: Server, keeper: Kept) -> TakeoverStep:
    """Tell how what keeps running is changed so that it can be looked at."""
    hiding = ", ".join(_hiding(machine, server))
    checked = (
        f"{name} keeps running as {keeper.shown}, and is checked on 127.0.0.1 over plain http."
    )
    unseen = f"with it, what {name} is doing cannot be seen."
    service = machine.service_of(server)
    if service is None:
        way = "Start it without" if machine.lxc_of(server) else "Make it again without"
        return TakeoverStep("", (checked, f"{way} {hiding}: {unseen}"))
    why = [checked, f"Take {hiding} out of its ExecStart=: {unseen}"]
    if server.socket:
        why.append(f"Write `--port {server.port}` there, which is the port in inventory.yaml.")
    systemctl = _systemctl(machine, service)
    unit = quote(service.name)
    return TakeoverStep(f"{systemctl} edit --full {unit} && {systemctl} restart {unit}", tuple(why))


def _systemctl(machine: Machine, service: Service) -> str:
    if service.scope == "user":
        return "systemctl --user"
    return f"{_as(machine, ROOT)}systemctl"


def _ended(machine: Machine, name: str, server: Server) -> TakeoverStep:
    """Tell how a server is ended by what would otherwise start it again."""
    stranger = (
        f"{name} is served by pid {server.pid}, which reconciler did not start; its conversations"
        " end with it."
    )
    why = (stranger, *_reach(server))
    if server.container is not None:
        return _of_container(machine, server.container, why)
    if server.supervisor:
        again = f"{server.supervisor} started it and starts it again after a kill: end it there."
        return TakeoverStep("", (*why, again))
    if server.service is None:
        return TakeoverStep(f"{_as(machine, server.user)}kill {server.pid}", why)
    again = f"{server.service.name} would start it again after a kill."
    return TakeoverStep(_disable(machine, server.service, server.user), (*why, again))


def _of_container(machine: Machine, container: Container, why: tuple[str, ...]) -> TakeoverStep:
    command, again = _ending(machine, container)
    inside = f"It runs in {container.shown}, {_why_not_kept(machine, container)}"
    return TakeoverStep(
        command, (*why, inside, "So reconciler would start its weights outside.", again)
    )


def _why_not_kept(machine: Machine, container: Container) -> str:
    """Tell why a container cannot be kept as it is."""
    if container.runtime in ENGINES and container.service is not None:
        return (
            f"which {container.service.name} runs: where that makes it at each start, `reconciler"
            " import systemd` keeps both as they are."
        )
    if container.engine:
        return "which is removed when it ends; made without `--rm`, it could be kept as it is."
    if container.runtime in ENGINES:
        return (
            f"of which its engine does not tell {machine.user}: as root, or as a member of the"
            " socket's group (which may do what root may), `reconciler init` would keep it as it"
            " is."
        )
    if container.runtime in LXC:
        return _why_lxc_is_not_kept(machine)
    return "which cannot be kept as it is in this version."


def _why_lxc_is_not_kept(machine: Machine) -> str:
    if machine.user != ROOT:
        return "of which only root is told: as root, `reconciler init` could keep it as it is."
    return (
        "in which nothing is known to start this server alone; as a systemd service in there it"
        " could be kept as it is (docs/containers.md)."
    )


def _ending(machine: Machine, container: Container) -> tuple[str, str]:
    """Find the command that ends a container through what runs it, and why a kill would not do."""
    service = container.service
    if service is not None:
        again = f"{service.name} runs the container, and would start it again after a kill."
        return _disable(machine, service, container.user), again
    if not container.endings:
        return "", "End it where it is run: after a kill it is started again."
    owner = _as_owner(machine, container.user)
    command = " && ".join(f"{owner}{one}" for one in container.endings)
    return command, "After a kill its restart policy may start it again."


def _as_owner(machine: Machine, user: str) -> str:
    # A runtime without root lists only the containers of the user who calls it, root included.
    if user == machine.user:
        return ""
    return "sudo " if user == ROOT else f"sudo -u {user} "


def _disable(machine: Machine, service: Service, user: str) -> str:
    """Tell how a service, or one of a user's own, is ended for good."""
    if service.scope == "system":
        return f"{_as(machine, ROOT)}{service.ending}"
    of_whom = "" if user == machine.user else f"-M {user}@ "
    return f"{_as(machine, user)}systemctl --user {of_whom}disable --now {quote(service.name)}"


def _as(machine: Machine, user: str) -> str:
    """Begin a command that acts on what is a user's."""
    return "" if machine.user in {user, ROOT} else "sudo "


def _reach(server: Server) -> Iterator[str]:
    """Yield which clients will no longer reach it."""
    place = _place(server)
    if server.socket:
        yield (
            f"It listens on the Unix socket {server.socket}; ours listens on port {server.port} of"
            " loopback, for its clients."
        )
    elif place not in LOOPBACK:
        yield (
            f"Clients on other machines reach it on {place}; ours listens on loopback alone, so"
            " put a proxy before it."
        )


def _place(server: Server) -> str:
    """Find the address that a server listens on: of several --host, the last counts."""
    words = (part for word in server.flags for part in word.split("=", 1))
    places = [value for flag, value in pairwise(words) if flag == "--host"]
    return places[-1] if places else "127.0.0.1"


def units(found: Iterable[Candidate]) -> Mapping[str, str]:
    """Write a unit file for every server that was started by hand, by file name."""
    strangers = _strangers(found)
    return {f"{name}.service": _unit(name, one) for name, one in strangers if _is_plain(one)}


def _is_plain(server: Server) -> bool:
    return server.by_hand and not server.socket and bool(server.program)


def _unit(name: str, server: Server) -> str:
    kept, hidden = _public(server.flags)
    return UNIT.format(
        pid=server.pid,
        file=f"{name}.service",
        name=name,
        directory=_specifiers(server.directory or "~"),
        command=" ".join(_word(word) for word in (server.program, *kept)),
        secrets="".join(map(_left_out, hidden)),
    )


def _left_out(flag: str) -> str:
    return (
        f"\n# {flag} is a secret and was left out; LLAMA_API_KEY in an EnvironmentFile= can hold a"
        " key."
    )


def _public(flags: Iterable[str]) -> tuple[list[str], list[str]]:
    """Split flags into those without secrets, with their values, and the names of the others."""
    kept: list[str] = []
    hidden: list[str] = []
    value_follows = False
    for word in flags:
        name, equals, _ = word.partition("=")
        if name in _SECRETS:
            hidden.append(name)
        elif not value_follows:
            kept.append(word)
        value_follows = name in _SECRETS and not equals
    return kept, hidden


def _word(word: str) -> str:
    """Quote a word as systemd reads it back (systemd.service(5), command lines)."""
    escaped = _specifiers(word).replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if _needs_quotes(escaped) else escaped


def _needs_quotes(word: str) -> bool:
    return not word or any(one in word for one in " '\";\t")


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")
