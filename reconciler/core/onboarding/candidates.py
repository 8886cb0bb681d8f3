"""Candidates: the models that an inventory could name: what a machine serves, and other weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from reconciler.core.onboarding import model_names
from reconciler.core.onboarding.kept import Kept, kept
from reconciler.core.wording import preceded
from reconciler.model.importing import ImportRow
from reconciler.model.machine import ImportedFlags, Machine, Server, WeightsFile

BESIDE = {"mmproj", "adapter", "imatrix", "vocab"}
"""What a GGUF file may be that is not itself a model."""


class Candidate(NamedTuple):
    """A model that could be written: where it comes from, and which server has it now."""

    name: str
    file: WeightsFile
    adopted: ImportedFlags | None = None
    server: Server | None = None
    kept: Kept | None = None
    rows: tuple[ImportRow, ...] = ()

    @property
    def serves(self) -> bool:
        """Whether something runs that has it."""
        is_seen = self.server is not None and self.server.pid > 0
        return is_seen or (self.kept is not None and self.kept.runs)


class _Served(NamedTuple):
    """A server whose weights are known, what its flags say, and the name it has, if it has one."""

    server: Server
    said: ImportedFlags
    name: str


def candidates(machine: Machine, adopted: Mapping[int, ImportedFlags]) -> tuple[Candidate, ...]:
    """List what is served, then the other weights; `adopted` has the servers' flags by pid."""
    served = _named(_served(machine, adopted))
    rest = _not_served(machine, served)
    unnamed = [one.said.weights for one in served if not one.name]
    taken = [one.name for one in served if one.name]
    chosen = iter(model_names.names([*unnamed, *(file.path for file in rest)], taken))
    first = [_of_server(one, one.name or next(chosen), machine) for one in served]
    return (*first, *(Candidate(next(chosen), file) for file in rest))


def _served(machine: Machine, adopted: Mapping[int, ImportedFlags]) -> list[_Served]:
    seen = [(one, _seen_here(one, adopted[one.pid], machine)) for one in machine.servers]
    return [_Served(server, said, _own_name(server, said)) for server, said in seen if said.weights]


def _seen_here(server: Server, said: ImportedFlags, machine: Machine) -> ImportedFlags:
    """Say what a server says in paths of its host."""
    if server.container is None or machine.held_in(server) is not None:
        return said
    # The flags of a container have its own paths. What it maps into memory is seen from outside;
    # its folders are not.
    return said.model_copy(update={"weights": _seen_outside(server, said, machine), "slots": ""})


def _seen_outside(server: Server, said: ImportedFlags, machine: Machine) -> str:
    """Find the weights of a container on its host, empty where they are not seen there."""
    told = machine.told_of(server)
    if told is not None:
        return told.outside(said.weights)
    paths = {file.path for file in machine.weights}
    return next((path for path in server.mapped if path in paths), "")


def _own_name(server: Server, said: ImportedFlags) -> str:
    return server.model or (said.alias if model_names.is_name(said.alias) else "")


def _named(served: list[_Served]) -> list[_Served]:
    """Drop the name that several servers have: none of them can keep it."""
    names = Counter(one.name for one in served)
    return [one._replace(name="") if names[one.name] > 1 else one for one in served]


def _not_served(machine: Machine, served: Iterable[_Served]) -> list[WeightsFile]:
    known = {_on_host(one.said.weights, one.server, machine) for one in served}
    return [file for file in machine.weights if is_model(file) and file.path not in known]


def _on_host(path: str, server: Server, machine: Machine) -> str:
    """Find a file of a server on its host, empty where it is seen in a container alone."""
    container = machine.held_in(server)
    return container.outside(path) if container is not None else path


def _of_server(one: _Served, name: str, machine: Machine) -> Candidate:
    path = one.said.weights
    file = file_at(_on_host(path, one.server, machine), machine)
    # What is kept in a container has the paths of that.
    file = file.model_copy(update={"path": path})
    return Candidate(name, file, one.said, one.server, kept(one.server, machine))


def file_at(path: str, machine: Machine) -> WeightsFile:
    """Find what is known of a file of the host, which is its path at least."""
    return next((file for file in machine.weights if file.path == path), _unread(path))


def _unread(path: str) -> WeightsFile:
    return WeightsFile(
        path=path,
        size=0,
        problem="",
        architecture="",
        type="",
        context_length=0,
        kv_bytes_per_token=0,
    )


def is_model(file: WeightsFile) -> bool:
    """Whether a GGUF file can be served, and is not just a part of what is."""
    return not file.problem and file.type not in BESIDE and not _is_projector(file)


def _is_projector(file: WeightsFile) -> bool:
    # A projector's header need not have a type: then its architecture or name tells.
    name = file.path.rpartition("/")[2].lower()
    return file.architecture == "clip" or "mmproj" in name


def unseen(machine: Machine, found: Iterable[Candidate]) -> Iterator[str]:
    """Yield what serves and is no candidate, and what ends it where something starts it again."""
    written = {one.server.pid for one in found if one.server is not None}
    for server in machine.servers:
        if server.pid not in written:
            yield f"{_unseen(server)}{preceded('; ', _way_out(server, machine))}."


def _way_out(server: Server, machine: Machine) -> str:
    return server.way_out("" if server.user == machine.user else server.user)


def _unseen(server: Server) -> str:
    place = "" if server.container else f" {place_of(server)}"
    return f"pid {server.pid}{place} serves weights that could not be seen"


def place_of(server: Server) -> str:
    """Tell where a server is reached, as a phrase."""
    if server.container is not None:
        return f"in {server.container.shown}"
    return f"on the Unix socket {server.socket}" if server.socket else f"on port {server.port}"
