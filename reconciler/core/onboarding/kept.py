"""Kept: what exists already, and is started and stopped as its operator made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from reconciler.model.found_container import FoundContainer, KnownContainer
from reconciler.model.found_lxc import FoundLxc
from reconciler.model.machine import Machine, Server
from reconciler.model.origin import ROOT, Service


class Kept(NamedTuple):
    """A service or container: what it is called, its launcher's options, and what to know.

    `runs`: it does so as far as its keeper says, also where no server listens in it yet.
    """

    shown: str
    launcher: Mapping[str, str | int]
    remarks: tuple[str, ...] = ()
    runs: bool = False


def kept(server: Server, machine: Machine) -> Kept | None:
    """Find what a server is kept by, None where that cannot be the unit of a model."""
    service, container = machine.service_of(server), machine.container_of(server)
    if service is not None:
        return of_service(service, machine.user)
    if container is not None:
        return of_container(container, machine)
    lxc = machine.lxc_of(server)
    return of_lxc(lxc) if lxc is not None else None


def of_service(service: Service, user: str, *, makes: bool = False) -> Kept:
    """Describe a service, for a controller that runs as `user`; one `makes` a container."""
    made = {"container": True} if makes else {}
    launcher = {"kind": "systemd", "unit": service.name, "scope": service.scope, **made}
    permission = (
        f"Before a switch {user} must be allowed to start and stop it: see docs/systemd.md.",
    )
    needs_permission = service.scope == "system" and user != ROOT
    return Kept(service.name, launcher, permission if needs_permission else ())


def of_container(container: FoundContainer, machine: Machine) -> Kept:
    """Describe a container of a host."""
    launcher = _composed(container, machine) or _single(container, machine)
    remarks = tuple(_of_container(container))
    return Kept(f"container {container.name}", launcher, remarks, container.running)


def of_lxc(one: FoundLxc) -> Kept:
    """Describe a container of LXC or of Proxmox VE, or a service in one."""
    launcher = {**_which(one), **_network(one)}
    return Kept(one.shown, launcher, tuple(_of_lxc(one)), runs=True)


def _which(one: FoundLxc) -> Mapping[str, str | int]:
    service = {"service": one.service} if one.service else {}
    if one.kind == "pct":
        return {"kind": one.kind, "ct": int(one.name), **service}
    return {"kind": one.kind, "name": one.name, **service}


def _composed(container: FoundContainer, machine: Machine) -> Mapping[str, str]:
    """Write the launcher of a compose project's only container of a service, {} for any other."""
    project, service = container.project, container.service
    # One in its own network is reached as a container alone.
    if not project or container.network == "own" or machine.is_scaled(container):
        return {}
    file = {"file": container.project_file} if container.project_file else {}
    return {**compose(project, service, container.socket, machine), **file}


def _single(container: FoundContainer, machine: Machine) -> Mapping[str, str]:
    """Write the launcher of a container by its name."""
    which = {"kind": "docker", "container": container.name}
    return {**which, **_engine(container.socket, machine), **_network(container)}


def compose(project: str, service: str, place: str, machine: Machine) -> Mapping[str, str]:
    """Write the launcher of a service of a compose project."""
    which = {"kind": "compose", "project": project, "service": service}
    return {**which, **_engine(place, machine)}


def _engine(place: str, machine: Machine) -> Mapping[str, str]:
    """Name the engine at a socket, where another one is usually meant."""
    usual = any(one.usual and one.socket == place for one in machine.engines)
    return {} if usual or not place else {"socket": place}


def _network(container: KnownContainer) -> Mapping[str, str]:
    """Write that a container has to be reached by its own address."""
    return {"network": "own"} if container.network == "own" else {}


def _of_container(container: FoundContainer) -> Iterator[str]:
    if container.policy in {"always", "unless-stopped"}:
        yield (
            f"Its restart policy is {container.policy}; to leave it to reconciler when it runs:"
            f" {container.letting_be}."
        )
    yield from _unreached(container)


def _of_lxc(one: FoundLxc) -> Iterator[str]:
    if not one.service and not one.whole:
        yield f"{one.container} is started and stopped as a whole: the server has to come with it."
    if one.boots:
        yield f"{one.boots.found}; to leave that to reconciler when it runs: {one.boots.fix}."
    yield from _unreached(one)


def _unreached(container: KnownContainer) -> Iterator[str]:
    for file in container.files:
        if not file.outside and file.inside.endswith(".gguf"):
            yield f"{file.inside} lies inside the container: mount its folder from the host."
