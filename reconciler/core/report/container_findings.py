"""Container findings: what starts a model's container beside us, and who may use its engine."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.core.report.levels import note, wrong
from reconciler.model.findings import Finding
from reconciler.model.found_container import ContainerEngine, FoundContainer
from reconciler.model.machine import Machine
from reconciler.model.origin import ROOT
from reconciler.model.spec import ModelSpec, Slice

DOCKER, COMPOSE = "docker", "compose"
_STARTED_AGAIN = {"always", "unless-stopped"}


def sockets(slice_: Slice) -> tuple[str, ...]:
    """List the sockets of engines that models name."""
    named = (str(one.launcher.options.get("socket") or "") for one in _in_containers(slice_))
    return tuple(dict.fromkeys(filter(None, named)))


def of_engines(slice_: Slice, machine: Machine) -> Iterator[Finding]:
    """Yield what an account may not do with an engine that keeps models, and what it may do."""
    if machine.user == ROOT:
        return
    used = {_socket(one, machine) for one in _in_containers(slice_)}
    for engine in machine.engines:
        if engine.socket in used:
            yield _usable(engine, machine.user)


def _usable(engine: ContainerEngine, user: str) -> Finding:
    if engine.usable:
        found = f"{user} may use {engine.socket}, and so may do whatever root may"
        return note("containers", found, "keep that account to yourself, and its keys too")
    found = f"{user} may not use {engine.socket}, so its containers are not seen"
    return wrong("containers", found, engine.letting_in(user))


def of_model(model: ModelSpec, machine: Machine) -> Iterator[Finding]:
    """Yield that its engine or a service starts a model's container by itself, too."""
    container = _container(model, machine) if _is_in_container(model) else None
    if container is None:
        return
    if container.policy in _STARTED_AGAIN:
        found = (
            f"{container.runtime} starts container {container.name} by itself at boot and when it"
            f" ends (restart policy {container.policy}), whatever desired.yaml says"
        )
        yield note("containers", found, container.letting_be)
    service = machine.runs(container)
    if service is not None:
        found = f"{service.name} starts container {container.name}, whatever desired.yaml says"
        yield note("containers", found, f"`{service.ending}`, then `reconciler apply`")


def _in_containers(slice_: Slice) -> list[ModelSpec]:
    return [one for one in slice_.models if _is_in_container(one)]


def _is_in_container(model: ModelSpec) -> bool:
    return model.launcher.kind in {DOCKER, COMPOSE}


def _container(model: ModelSpec, machine: Machine) -> FoundContainer | None:
    socket = _socket(model, machine)
    there = (one for one in machine.containers if one.socket == socket)
    return next((one for one in there if _is_of(model, one)), None)


def _is_of(model: ModelSpec, container: FoundContainer) -> bool:
    options = model.launcher.options
    if model.launcher.kind == COMPOSE:
        meant = (options["project"], options.get("service") or model.name)
        return (container.project, container.service) == meant
    return container.name == (options.get("container") or model.name)


def _socket(model: ModelSpec, machine: Machine) -> str:
    """Find the socket of the engine that keeps a model, empty where it is not known."""
    usual = next((one.socket for one in machine.engines if one.usual), "")
    return str(model.launcher.options.get("socket") or usual)
