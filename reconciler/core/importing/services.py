"""Services of a host, running or not, as units that could be models."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.core.importing.containers import of_files
from reconciler.core.importing.imported import (
    AsFlags,
    Imported,
    ImportedUnit,
    of_flags,
    told_port,
    why_no_model,
)
from reconciler.core.onboarding.kept import of_service
from reconciler.model.found_service import FoundService, FoundServices
from reconciler.model.importing import ImportRow
from reconciler.model.machine import Machine, Server
from reconciler.model.origin import Service

_WHY_NOT = {
    "llama-swap": (
        "it is a gateway that starts its models by itself",
        "`{ending}` before reconciler starts what it starts; `reconciler serve` takes its place",
    ),
    "vllm": ("vLLM is not an engine of this version", "it is left running as it is"),
}
"""Why what a service runs is no model, and what to do."""

_CONTAINER = "a container"
_BY_ITSELF = (
    "or make that container once, without `--rm`, and `{ending}`; then import docker takes it"
)
_APART = (
    "the container that it makes has its own network",
    f"give it `--network=host`, and import again; {_BY_ITSELF}",
)


def services(found: FoundServices, machine: Machine, as_flags: AsFlags) -> Imported:
    """Import every service that runs llama-server, itself or by a script that runs now."""
    units = [_unit(one, machine, as_flags) for one in found.services if not _why_not(one)]
    named = {one.service for one in found.services}
    units += [_by_script(server, machine) for server in _others(machine, named)]
    rows = [row for one in found.services for row in _left_out(one)]
    return Imported(
        tuple(units), (*_unseen(found, machine), *rows, *map(_template, found.templates))
    )


def _unseen(found: FoundServices, machine: Machine) -> Iterator[ImportRow]:
    """Yield why services of the host's systemd are not seen."""
    if found.unseen:
        yield ImportRow(
            where=machine.name,
            key="systemd",
            became="left out",
            why=f"its services are not known: {found.unseen}",
            instead="import again where systemd answers: `systemctl is-system-running` says",
        )


def _others(machine: Machine, named: set[Service]) -> Iterator[Server]:
    """Yield the servers that run in a service whose ExecStart= is something else."""
    for server in machine.servers:
        service = machine.service_of(server)
        if service is not None and service not in named:
            yield server


def _unit(one: FoundService, machine: Machine, as_flags: AsFlags) -> ImportedUnit:
    where, flags = one.service.name, (*as_flags(one.variables), *one.flags)
    running = (server for server in machine.servers if server.service == one.service)
    server = next(running, None) or Server(
        pid=0,
        port=told_port(flags),
        user=machine.user,
        directory="/",
        program="",
        flags=flags,
        mapped=(),
        variables=(),
        model=None,
        service=one.service,
    )
    rows = (*_rows(one), *of_files(where, one.files), *of_flags(where, server.flags))
    kept = of_service(one.service, machine.user, makes=one.runs == _CONTAINER)
    outside = {file.inside: file.outside for file in one.files}
    return ImportedUnit(_name(one.service), server, kept._replace(runs=one.running), rows, outside)


def _by_script(server: Server, machine: Machine) -> ImportedUnit:
    service = server.service or Service(name="", scope="system")
    script = ImportRow(
        where=service.name,
        key="ExecStart",
        became="changed",
        why="a script starts its llama-server, so its flags are those that run now",
        instead="change them here too when you change the script",
    )
    rows = (script, *of_flags(service.name, server.flags))
    return ImportedUnit(_name(service), server, of_service(service, machine.user), rows)


def _name(service: Service) -> str:
    """Name a model as its service is called, by the instance of a template."""
    name = service.name.removesuffix(".service")
    return name.partition("@")[2] or name


def _rows(one: FoundService) -> Iterator[ImportRow]:
    where = one.service.name
    if one.expands:
        yield ImportRow(
            where=where,
            key="$ in ExecStart",
            became="changed",
            why="words of its command line come from variables, and are written as they are now",
        )
    if one.log:
        yield ImportRow(
            where=where,
            key=f"log {one.log}",
            became="left out",
            why="it writes into a file, and `reconciler logs` shows the journal",
            instead="take StandardOutput= out of the unit",
        )
    if one.is_generated:
        yield ImportRow(
            where=where,
            key=one.file,
            became="carried",
            why="a program writes its unit file, so it is started and stopped, and never edited;"
            " that program may start it again",
        )


def _left_out(one: FoundService) -> Iterator[ImportRow]:
    why_not = _why_not(one)
    if why_not is not None:
        why, instead = why_not
        yield ImportRow(
            where=one.service.name,
            key=f"ExecStart runs {one.runs}",
            became="left out",
            why=why,
            instead=instead.format(ending=one.service.ending),
        )


def _why_not(one: FoundService) -> tuple[str, str] | None:
    """Tell why a service can be no model, and what to do; None where it can be one."""
    if one.runs in _WHY_NOT:
        return _WHY_NOT[one.runs]
    if one.problem and one.runs == _CONTAINER:
        why = f"it makes a container at each start, of which too little is known: {one.problem}"
        return why, f"correct that, and import again; {_BY_ITSELF}"
    if one.apart:
        return _APART
    if one.problem:
        return one.problem, "start it, and import again: what runs is seen then"
    routed = why_no_model(one.flags)
    return (routed, "") if routed else None


def _template(name: str) -> ImportRow:
    stem = name.partition("@")[0]
    return ImportRow(
        where=name,
        key="template",
        became="left out",
        why="no instance of it exists",
        instead=f"`systemctl start {stem}@NAME` makes one; import again then",
    )
