"""Containers of a host, running or not, as units that could be models."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.core.importing.imported import Imported, ImportedUnit, of_flags, why_no_model
from reconciler.core.onboarding.kept import of_container
from reconciler.model.found_container import ContainerFile, FoundContainer
from reconciler.model.importing import ImportRow
from reconciler.model.machine import Machine, Server
from reconciler.model.origin import Container

RESTART = "restart"

POLICIES = {"always", "unless-stopped"}
"""The policies with which docker starts a container without being asked."""


def containers(machine: Machine) -> Imported:
    """Import every container that an engine of the host tells of."""
    units = tuple(unit_of(one, machine) for one in machine.containers if not _why_not(one, machine))
    rows = tuple(row for one in machine.containers for row in _left_out(one, machine))
    return Imported(units, (*_unseen(machine), *rows))


def _unseen(machine: Machine) -> Iterator[ImportRow]:
    """Yield why containers of the host are not seen: no engine listens, or one may not be used."""
    if not machine.engines and not machine.containers:
        yield _of_engine(
            machine.name,
            f"none of docker or podman listens {_places(machine)}",
            "start it, or set DOCKER_HOST=unix:///PATH to where it listens",
        )
    for engine in machine.engines:
        if not engine.usable:
            why = f"{machine.user} may not use it, so its containers are not seen"
            yield _of_engine(engine.socket, why, engine.letting_in(machine.user))
        elif not engine.answers:
            yield _of_engine(
                engine.socket,
                "it does not answer, so its containers are not seen",
                "`systemctl status docker` or `systemctl status podman` says why",
            )


def _places(machine: Machine) -> str:
    # What it means is worth a look first: it may be of another machine, or mistyped.
    named = machine.docker_host
    return f"here, nor at DOCKER_HOST={named}, which has to be unix:///PATH" if named else "here"


def _of_engine(where: str, why: str, instead: str) -> ImportRow:
    return ImportRow(where=where, key="engine", became="left out", why=why, instead=instead)


def unit_of(container: FoundContainer, machine: Machine) -> ImportedUnit:
    """Describe a container as a unit, as it runs now where it does."""
    where = shown(container)
    server = server_of(container, machine)
    rows = (
        *of_policy(where, container),
        *of_files(where, container.files),
        *of_flags(where, server.flags),
    )
    outside = {one.inside: one.outside for one in container.files}
    # What is to be known of it is in the rows.
    kept = of_container(container, machine)._replace(remarks=())
    return ImportedUnit(container.name, server, kept, rows, outside)


def shown(container: FoundContainer) -> str:
    """Say which container is meant."""
    return f"container {container.name}"


def server_of(container: FoundContainer, machine: Machine) -> Server:
    """Find the server that runs in a container, or describe the one that would."""
    running = (one for one in machine.servers if machine.told_of(one) == container)
    return next(running, None) or Server(
        pid=0,
        port=container.port,
        user="root",
        directory="",
        program="",
        flags=container.flags,
        mapped=(),
        variables=container.variables,
        model=None,
        container=Container(
            runtime=container.runtime, name=container.name, engine=container.socket
        ),
    )


def of_policy(where: str, container: FoundContainer) -> Iterator[ImportRow]:
    """Yield that the engine of a container starts it by itself, too."""
    if container.policy in POLICIES:
        yield ImportRow(
            where=where,
            key=f"{RESTART}: {container.policy}",
            became="carried",
            why=f"{container.runtime} starts it by itself too, at boot and after a crash",
            instead=container.letting_be,
        )


def of_files(where: str, files: tuple[ContainerFile, ...]) -> Iterator[ImportRow]:
    """Yield the weights and what else of a model nothing outside the container can see."""
    for file in files:
        if not file.outside and file.inside.endswith(".gguf"):
            yield ImportRow(
                where=where,
                key=file.inside,
                became="carried",
                why="it lies inside the container, where nothing else can see it",
                instead="mount its folder from the host, or what it holds cannot be checked",
            )


def _left_out(container: FoundContainer, machine: Machine) -> Iterator[ImportRow]:
    why_not = _why_not(container, machine)
    if why_not is not None:
        why, instead = why_not
        key = f"image {container.image}"
        yield ImportRow(
            where=shown(container), key=key, became="left out", why=why, instead=instead
        )


def _why_not(container: FoundContainer, machine: Machine) -> tuple[str, str] | None:
    """Tell why a container can be no model, and what to do; None where it can be one."""
    if container.model is not None:
        return f"reconciler made it for its model {container.model}", ""
    if not container.serves:
        return of_image(container.image)
    service = machine.runs(container)
    if service is not None:
        kept = "`reconciler import systemd` takes its service as it is; or make it once without"
        once = f"{kept} `--rm`, " if container.removed else ""
        ended = f"{once}`{service.ending}`, and import again"
        return f"{service.name} runs it, and would start it again whenever it is stopped", ended
    if container.removed:
        again = "make it again without `--rm`, and import again"
        return "it is removed when it ends, and could not be started again", again
    routed = why_no_model(container.flags)
    return (routed, "") if routed else None


def of_image(image: str) -> tuple[str, str]:
    """Tell why a container whose program is no llama-server can be no model."""
    if "vllm" in image:
        return "vLLM is not an engine of this version", "it is left running as it is"
    return "its program is no llama-server", ""
