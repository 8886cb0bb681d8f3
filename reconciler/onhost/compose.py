"""Services of compose projects: containers, found by the labels that every compose program gives.

A container is started and ended through the API of its engine. The compose program only makes one,
where it lacks or its definition changed.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import quote

from reconciler.onhost import (
    compose_labels,
    compose_needs,
    compose_program,
    docker,
    docker_log,
    docker_ports,
    given,
)
from reconciler.onhost.compose_program import ComposeDefinition
from reconciler.onhost.docker_container import HeldContainer, Inspected
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, Objection

_LABEL = compose_labels.PREFIX
_PODMAN_HASH = "io.podman.compose.config-hash"

Request = dict[str, Any]


class _Standing(NamedTuple):
    """Whether a container is as its file has it.

    `changed` is only said where it is certain; otherwise a `note` tells why it cannot be seen.
    """

    changed: bool = False
    note: str = ""


class _Found(NamedTuple):
    """A service's container, None without one, what its engine tells of it, and their number."""

    held: HeldContainer | None
    seen: Inspected | None
    number: int
    definition: ComposeDefinition
    of_podman: bool

    @property
    def labels(self) -> dict[str, str]:
        """What the compose program noted when it made the container."""
        labels: dict[str, str] = self.seen["Config"]["Labels"] if self.seen else {}
        return labels

    @property
    def created(self) -> int:
        """When its container was made, in nanoseconds; 0 without one."""
        return docker_log.nanoseconds(self.seen["Created"]) if self.seen else 0


_AS_MADE = _Standing()


def services(request: Request, _: str) -> Request:
    """Answer for each service whether it could be started, and what runs of it."""
    return {"services": [_service(one) for one in request["services"]]}


def _service(one: Request) -> Request:
    found = _found(one)
    if found.held is None or found.seen is None:
        return {"binary": _described(one, found, _unstartable(found)), "unit": None}
    unit = found.held.unit(found.seen)
    # To compare takes a run of the program.
    may_differ = unit is not None or compose_program.is_newer(found.definition, found.created)
    standing = _standing(found) if may_differ else _AS_MADE
    if unit is not None:
        notes = [standing.note] if standing.note else []
        unit = {**unit, "outdated": standing.changed, "notes": notes}
    ports = docker_ports.led_from(found.seen)
    barred = _unstartable(found, standing)
    return {"binary": _described(one, found, barred), "unit": unit, "ports": ports}


def _described(one: Request, found: _Found, barred: Objection) -> Request:
    path = found.seen["Config"]["Image"] if found.seen else one["service"]
    return {"path": path, "problem": barred.parts, "modified_ns": found.created}


def _found(one: Request) -> _Found:
    """Look for the container of a service; raise HostProblem where its engine does not tell."""
    engine = HeldContainer({"name": "", "socket": one["socket"]})
    labels = [f"{_LABEL}project={one['project']}", f"{_LABEL}service={one['service']}"]
    wanted = quote(json.dumps({"label": labels}))
    answer = engine.ask_engine("GET", f"/containers/json?all=1&filters={wanted}")
    listed = answer.listed
    if listed is None:
        raise HostProblem(f"{engine.dialect.daemon} does not list its containers: {answer.said}")
    # What `compose run` makes is not the service. podman-compose has no such label.
    # One that is being removed has no name.
    named = [each for each in listed if each["Names"]]
    own = [each for each in named if not compose_labels.is_oneoff(each["Labels"])]
    first = min(own, key=_number, default=None)
    held = seen = None
    if first is not None:
        name = first["Names"][0].lstrip("/")
        held = HeldContainer({"name": name, "socket": engine.socket})
        seen = held.inspected()
    files = _files(one, (first or {}).get("Labels", {}))
    definition = ComposeDefinition(one["project"], one["service"], files, engine.socket)
    of_podman = engine.dialect.command == "podman"
    return _Found(held, seen, len(own), definition, of_podman)


def _number(listed: Request) -> int:
    text = listed["Labels"].get(f"{_LABEL}container-number", "")
    return int(text) if text.isdecimal() else 0


def _files(one: Request, labels: dict[str, str]) -> tuple[str, ...]:
    """List the files that define a service: the one that is named, or those of its container."""
    if one["file"]:
        return (one["file"],)
    return compose_labels.files(labels)


def _unstartable(found: _Found, standing: _Standing = _AS_MADE) -> Objection:
    if found.held is None:
        return _unmade(found)
    return _barred(found) or _not_made_again(found, standing)


def _unmade(found: _Found) -> Objection:
    """Tell why a service without a container cannot be given one, "" where it can."""
    definition, lacks = found.definition, f"there is no container of {found.definition.named}"
    if not definition.files:
        fix = "name the file that defines it with file:, or make it with `compose up`"
        return Objection(lacks, fix)
    gone = compose_program.missing(definition)
    if gone:
        return Objection(f"{lacks}, and {gone}")
    program = compose_program.program(of_podman=found.of_podman)
    if program is None:
        typed = " ".join(definition.typed(("docker", "compose")))
        return Objection(
            f"{lacks}, and no compose program is installed to make one",
            "install it, or make the container elsewhere:"
            f" `{typed} up --no-start {definition.service}`",
        )
    if program.tells_hashes:
        called = compose_program.project_name(definition.project)
        if called != definition.project:
            not_called = f"compose calls no project {definition.project}, but {called}"
            return Objection(not_called, f"write `project: {called}`")
        try:
            compose_program.hash_of(program, definition)
        except HostProblem as problem:
            return Objection(f"{lacks}, and {problem}")
    lacking = compose_needs.lacking(program, definition)
    return Objection(f"{lacks}, and {lacking.found}", lacking.fix) if lacking else NO_OBJECTION


def _barred(found: _Found) -> Objection:
    """Tell why a container is not started, "" when it would be tried."""
    if found.number > 1:
        many = f"{found.definition.named} has {found.number} containers, and a model is one"
        return Objection(many, "scale it down to 1")
    if found.seen and docker_ports.led_from(found.seen) == []:
        return compose_needs.unreached(found.definition)
    return NO_OBJECTION


def _not_made_again(found: _Found, standing: _Standing) -> Objection:
    """Tell why a container whose definition changed cannot be made again, "" where it can."""
    program = compose_program.program(of_podman=found.of_podman) if standing.changed else None
    return compose_needs.lacking(program, found.definition) if program else NO_OBJECTION


def _standing(found: _Found) -> _Standing:
    """Compare a container with its file as it is now."""
    definition, labels = found.definition, found.labels
    program = compose_program.program(of_podman=found.of_podman or _PODMAN_HASH in labels)
    made, version = labels.get(f"{_LABEL}config-hash"), labels.get(f"{_LABEL}version", "")
    if program is None:
        return _unseen("no compose program is installed")
    if not made or not program.tells_hashes:
        return _unseen("podman-compose does not tell")
    if version.removeprefix("v") != program.version:
        return _unseen(f"its container was made by version {version}, not {program.version}")
    gone = compose_program.missing(definition) if definition.files else "its container names none"
    if gone:
        return _unseen(gone)
    try:
        return _Standing(compose_program.hash_of(program, definition) != made)
    except HostProblem as problem:
        return _unseen(str(problem))


def _unseen(why: str) -> _Standing:
    return _Standing(note=f"whether its compose file changed is not seen: {why}")


def start(request: Request, _: str) -> Request:
    """Start a service's container, made first where that is needed, and answer its identity."""
    found = _found(request)
    standing = _standing(found) if found.held else _AS_MADE
    problem = _unstartable(found, standing)
    if problem:
        raise HostProblem(problem)
    if found.held is None or standing.changed:
        found = _made(request, found)
    if found.held is None:
        raise HostProblem(f"there still is no container of {found.definition.named}")
    return docker.begin(found.held)


def _made(request: Request, before: _Found) -> _Found:
    program = compose_program.program(of_podman=before.of_podman)
    if program is None:
        raise HostProblem(_unmade(before))
    compose_program.make(program, before.definition)
    found = _found(request)
    problem = _barred(found)
    if problem:
        raise HostProblem(problem)
    return found


def stop(request: Request, directory: str) -> Request:
    """End the run of a service's container that is meant, and what would start it again."""
    return docker.stop({**request, **container(request)}, directory)


def log(request: Request, directory: str) -> Request:
    """Answer the last lines of a service's newest run, or the first ones since an earlier end."""
    return docker.log({**request, **container(request)}, directory)


def command(request: Request, directory: str) -> Request:
    """Answer what a service's container runs, or that there is none yet."""
    found = _found(request)
    if found.held is None:
        lacks = f"there is no container of {found.definition.named} yet"
        return {"absent": True, "problem": lacks}
    told = given.of_container(container(request), directory)
    adding = f"add these words to the end of `command:` at {found.definition.service}: `"
    return {**told, "adding": adding}


def container(request: Request) -> Request:
    """Name the container of a service to its engine, where there is one."""
    found = _found(request)
    name = found.held.name if found.held else f"{request['project']}/{request['service']}"
    return {"name": name, "socket": found.definition.socket}
