"""The services of a compose file as units, by their containers where those exist."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from posixpath import basename, dirname
from typing import NamedTuple

from pydantic import JsonValue

from reconciler.core.importing.compose_service import ComposeService
from reconciler.core.importing.containers import POLICIES, RESTART, of_image, unit_of
from reconciler.core.importing.imported import (
    AsFlags,
    Imported,
    ImportedUnit,
    of_flags,
    told_port,
    why_no_model,
)
from reconciler.core.importing.interpolation import interpolated
from reconciler.core.onboarding.kept import Kept
from reconciler.core.onboarding.kept import compose as compose_launcher
from reconciler.model.compose_text import ComposeText
from reconciler.model.found_container import FoundContainer
from reconciler.model.importing import ImportRow
from reconciler.model.machine import KEY_VARIABLE, Machine, Server
from reconciler.model.origin import Container

_FLAG = "LLAMA_ARG_"
_HIDDEN = "(hidden)"
_SECRETS = {KEY_VARIABLE, f"{_FLAG}API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}
_READ = {
    *("image", "command", "entrypoint", "environment", "env_file", "ports", "restart"),
    *("container_name", "network_mode", "depends_on", "build"),
}
"""The keys of a service that have their own row, or become keys of the model."""


class _Project(NamedTuple):
    """A compose file with its variables put in, and its name."""

    text: ComposeText
    name: str
    services: tuple[ComposeService, ...]
    machine: Machine
    as_flags: AsFlags


def compose(text: ComposeText, machine: Machine, as_flags: AsFlags) -> Imported:
    """Import every service of a compose file."""
    value, unset = interpolated(text.value, text.variables)
    keys = value if isinstance(value, dict) else {}
    services = tuple(_services(keys.get("services")))
    project = _Project(text, _name(keys, text), services, machine, as_flags)
    units = [unit for one in services if (unit := _unit(project, one)) is not None]
    rows = [row for one in services for row in _left_out(project, one)]
    return Imported(tuple(units), (*rows, *_unset(text, sorted(unset))))


def _services(value: JsonValue) -> Iterator[ComposeService]:
    for name, keys in value.items() if isinstance(value, dict) else ():
        if isinstance(keys, dict):
            yield ComposeService(name, keys)


def _name(keys: Mapping[str, JsonValue], text: ComposeText) -> str:
    """Find the name of a project: as the file or the environment says, or that of its folder."""
    told = keys.get("name") or text.variables.get("COMPOSE_PROJECT_NAME")
    plain = str(told or basename(dirname(text.file))).lower()
    return re.sub(r"[^a-z0-9_-]", "", plain).lstrip("_-")


def _unset(text: ComposeText, names: list[str]) -> Iterator[ImportRow]:
    for name in names:
        yield ImportRow(
            where=text.where(),
            key=f"${{{name}}}",
            became="changed",
            why="it is set neither in the environment nor in .env, so it is empty",
            instead=f"write `{name}=...` into .env",
        )


def _container(project: _Project, service: ComposeService) -> FoundContainer | None:
    """Find the container of a service, None where none was made."""
    mine = (project.name, service.name)
    return next(
        (one for one in project.machine.containers if (one.project, one.service) == mine), None
    )


def _unit(project: _Project, service: ComposeService) -> ImportedUnit | None:
    """Describe a service that can be a model; None where it cannot."""
    if _why_not(project, service) is not None:
        return None
    container = _container(project, service)
    if container is None:
        return _not_made(project, service)
    unit = unit_of(container, project.machine)
    launcher = compose_launcher(project.name, service.name, container.socket, project.machine)
    kept = Kept(f"service {service.name} of {project.name}", launcher, runs=container.running)
    # What starts it again is told with what to write into the file.
    told = (row for row in unit.rows if not row.key.startswith(RESTART))
    rows = (*_rows(project, service), *_of_keeper(project, service, container), *told)
    return unit._replace(name=service.name, kept=kept, rows=rows)


def _of_keeper(
    project: _Project, service: ComposeService, container: FoundContainer
) -> Iterator[ImportRow]:
    """Yield which service of systemd starts a container, too."""
    keeper = project.machine.runs(container)
    if keeper is not None:
        yield ImportRow(
            where=_where(project, service),
            key=keeper.name,
            became="carried",
            why="it starts the container again whenever it is stopped",
            instead=f"`{keeper.ending}`",
        )


def _not_made(project: _Project, service: ComposeService) -> ImportedUnit:
    """Describe a service that has no container yet, by what the file says."""
    where = _where(project, service)
    flags = _flags(project, service)
    made = ImportRow(
        where=where,
        key="container",
        became="carried",
        why="it does not exist yet, and compose makes it at its first start",
        instead="pull its image before: a start has 40 s, in which compose would pull it",
    )
    server = Server(
        pid=0,
        port=_port(service, flags),
        user="root",
        directory="",
        program="",
        flags=flags,
        mapped=(),
        variables=(),
        model=None,
        container=Container(runtime="docker", name=service.name),
    )
    place = next((one.socket for one in project.machine.engines), "")
    launcher = compose_launcher(project.name, service.name, place, project.machine)
    kept = Kept(
        f"service {service.name} of {project.name}", {**launcher, "file": project.text.file}
    )
    rows = (*_rows(project, service), made, *of_flags(where, flags))
    return ImportedUnit(service.name, server, kept, rows, _outside(project, service, flags))


def _flags(project: _Project, service: ComposeService) -> tuple[str, ...]:
    """List the flags of a service, those of variables first: what is typed wins."""
    variables = service.variables(project.text.files, project.text.variables)
    told = {name: text for name, text in variables.items() if name.startswith(_FLAG)}
    hidden = {name: _HIDDEN for name in told if name in _SECRETS}
    return (*project.as_flags({**told, **hidden}), *(service.flags or ()))


def _port(service: ComposeService, flags: Sequence[str]) -> int:
    """Find the port of the host at which a service is reached."""
    inside = told_port(flags)
    published = (one.outside for one in service.published if one.inside == inside)
    return next(published, inside)


def _outside(project: _Project, service: ComposeService, flags: Sequence[str]) -> dict[str, str]:
    """Find the files that flags name on the host."""
    mounts = service.mounts(dirname(project.text.file))
    words = [part for word in flags for part in word.split("=", 1) if part.startswith("/")]
    above = {word: [at for at in mounts if word.startswith(f"{at}/")] for word in words}
    return {
        word: f"{mounts[max(found, key=len)]}{word[len(max(found, key=len)) :]}"
        for word, found in above.items()
        if found
    }


def _where(project: _Project, service: ComposeService, *key: str) -> str:
    return project.text.where("services", service.name, *key)


def _left_out(project: _Project, service: ComposeService) -> Iterator[ImportRow]:
    why_not = _why_not(project, service)
    if why_not is not None:
        why, instead = why_not
        key = f"image {service.image}" if service.image else "build"
        where = _where(project, service, key.partition(" ")[0])
        yield ImportRow(
            where=where, key=f"{service.name}: {key}", became="left out", why=why, instead=instead
        )


def _why_not(project: _Project, service: ComposeService) -> tuple[str, str] | None:
    """Tell why a service can be no model, and what to do; None where it can be one."""
    if service.flags is None:
        if service.image:
            return of_image(service.image)
        return "its image is built, so what it runs is not known", "`reconciler import docker`"
    routed = why_no_model(_flags(project, service))
    return (routed, "") if routed else None


def _rows(project: _Project, service: ComposeService) -> Iterator[ImportRow]:
    """Yield what becomes of the keys of a service that is a model."""
    yield from _of_ports(project, service)
    yield from _of_restart(project, service)
    yield from _of_variables(project, service)
    if "depends_on" in service.keys:
        yield ImportRow(
            where=_where(project, service, "depends_on"),
            key="depends_on",
            became="left out",
            why="reconciler starts this container alone",
            instead="start the others yourself: `docker compose up -d`",
        )
    kept = sorted(set(service.keys) - _READ)
    if kept:
        yield ImportRow(
            where=_where(project, service),
            key=", ".join(kept),
            became="carried",
            why="the container keeps them as compose makes it",
        )


def _of_ports(project: _Project, service: ComposeService) -> Iterator[ImportRow]:
    inside = told_port(_flags(project, service))
    outside = _port(service, _flags(project, service))
    if outside != inside:
        yield ImportRow(
            where=_where(project, service, "ports"),
            key=f"port {outside}",
            became="carried",
            why=f"it is the host's, and leads to {inside} in the container",
        )


def _of_restart(project: _Project, service: ComposeService) -> Iterator[ImportRow]:
    if service.restart in POLICIES:
        yield ImportRow(
            where=_where(project, service, "restart"),
            key=f"{RESTART}: {service.restart}",
            became="carried",
            why="docker starts it by itself too, at boot and after a crash",
            instead='write `restart: "no"` to leave that to reconciler',
        )


def _of_variables(project: _Project, service: ComposeService) -> Iterator[ImportRow]:
    """Yield which variables are secrets, and which files of variables could not be read."""
    variables = service.variables(project.text.files, project.text.variables)
    for name in sorted(_SECRETS & set(variables)):
        yield ImportRow(
            where=_where(project, service, "environment"),
            key=name,
            became="left out",
            why="it is a secret, and stays where it is",
            instead="put the key into a file that only you may read, and name that as `key:`",
        )
    for file in service.env_files:
        if project.text.files.get(file) is None:
            yield ImportRow(
                where=_where(project, service, "env_file"),
                key=f"env_file {file}",
                became="left out",
                why="it cannot be read here, and what it sets is not known",
            )
