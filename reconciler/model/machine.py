"""Machine: what a host has for serving models, as its program answers AskMachine.

Also how the flags of a server that runs there read as keys of a model.
"""

from itertools import pairwise
from posixpath import join
from typing import Literal, TypeAlias

from reconciler.model.found_container import ContainerEngine, FoundContainer, KnownContainer
from reconciler.model.found_lxc import FoundLxc
from reconciler.model.names import Value
from reconciler.model.origin import Container, Origin, Service
from reconciler.model.spec import Task

HOMELESS = "/.local/state/"
"""Where the XDG state directory lies for a user without HOME."""

LOOPBACK = {"127.0.0.1", "localhost", "::1"}

TRANSIENT = "run-"
"""How systemd-run names a service."""


class FoundCard(Value):
    """An accelerator; its memory in bytes is None where the kernel does not tell."""

    vendor: str
    name: str
    memory_bytes: int | None


class DeviceNode(Value):
    """A device node: whether this user may use it, and which group may."""

    path: str
    usable: bool
    group: str


KEY_VARIABLE, KEY_FLAG, KEY_FILE_FLAG = "LLAMA_API_KEY", "--api-key", "--api-key-file"


class Server(Origin):
    """A listening llama-server, with its flags but without their secrets.

    `mapped` are the GGUF files in its memory, `variables` those of its environment that are flags.
    `socket` is the Unix socket that it listens on, empty for a TCP port; without one, and in a
    container with its own network, `port` is one that is free. `model` is set when it is one of our
    units.
    """

    pid: int
    port: int
    user: str
    directory: str
    program: str
    flags: tuple[str, ...]
    mapped: tuple[str, ...]
    variables: tuple[str, ...]
    model: str | None
    socket: str = ""

    @property
    def key_source(self) -> str:
        """What makes it want an API key, as far as can be seen; empty where nothing does."""
        names = (word.partition("=")[0] for word in self.flags)
        flag = next((name for name in names if name in {KEY_FLAG, KEY_FILE_FLAG}), "")
        return flag or (KEY_VARIABLE if KEY_VARIABLE in self.variables else "")

    @property
    def key_file(self) -> str:
        """The file that its keys are in, by its whole path.

        Empty where they are elsewhere, or in a container.
        """
        # A value may also stand behind `=`, as onhost/flags reads it.
        words = [part for word in self.flags for part in word.split("=", 1)]
        named = next((value for flag, value in pairwise(words) if flag == KEY_FILE_FLAG), "")
        return join(self.directory, named) if named and self.container is None else ""


class WeightsFile(Value):
    """A GGUF file that lies somewhere, by its header.

    `problem` is why it cannot be read, empty when it can.
    """

    path: str
    size: int
    problem: str
    architecture: str
    type: str
    context_length: int
    kv_bytes_per_token: int
    ranks: bool = False


Obstacle: TypeAlias = Literal["", "no folder", "closed", "read-only", "no files", "another's"]
"""Why nothing can be written into a folder, empty where something can."""


class FolderState(Value):
    """Whether a folder can be written, and how many bytes are left there.

    One that is not there can be written when it can be made below the `nearest` that is. `obstacle`
    is what another owner would not change, where it cannot be written.
    """

    path: str
    nearest: str
    writable: bool
    free_bytes: int
    obstacle: Obstacle = ""


class Logins(Value):
    """What logging out does: whether it ends the user's processes, and whether services go on."""

    kills: bool
    lingers: bool


class Machine(Value):
    """A host.

    `cut` says why the search for weights ended early, empty when it looked everywhere.
    """

    name: str
    user: str
    logins: Logins
    memory_bytes: int
    cards: tuple[FoundCard, ...]
    nodes: tuple[DeviceNode, ...]
    programs: tuple[str, ...]
    servers: tuple[Server, ...]
    weights: tuple[WeightsFile, ...]
    cut: str
    folders: tuple[FolderState, ...]
    free_port: int
    containers: tuple[FoundContainer, ...] = ()
    lxcs: tuple[FoundLxc, ...] = ()
    engines: tuple[ContainerEngine, ...] = ()
    docker_host: str = ""

    def service_of(self, server: Server) -> Service | None:
        """The service that a model can be made of, None where a server is not held by one.

        None also for one of our units, and where the service is not to be had: that of another
        user, one that runs several servers, and one that is gone for good once it is stopped.
        """
        service = server.service
        if service is None or server.model is not None or service.name.startswith(TRANSIENT):
            return None
        is_alone = [one.service for one in self.servers].count(service) == 1
        is_reachable = service.scope == "system" or server.user == self.user
        return service if is_alone and is_reachable else None

    def told_of(self, server: Server) -> FoundContainer | None:
        """What an engine tells of the container that a server runs in, None where none does."""
        inside = server.container
        if inside is None:
            return None
        told = (one for one in self.containers if (one.name, one.socket) == _place(inside))
        return next(told, None)

    def runs(self, container: FoundContainer) -> Service | None:
        """The service that runs a container and starts it again, None where none is seen."""
        inside = (one.container for one in self.servers if self.told_of(one) == container)
        return next((one.service for one in inside if one and one.service), None)

    def container_of(self, server: Server) -> FoundContainer | None:
        """The container that a model can be made of, None where a server is not held by one.

        None also where it is gone for good once it is stopped, and where a service runs it, other
        than one that only has a compose program start it.
        """
        told = self.told_of(server)
        is_run = server.container is not None and server.container.service is not None
        if told is None or told.removed or (is_run and not told.project):
            return None
        return told

    def lxc_of(self, server: Server) -> FoundLxc | None:
        """The container of LXC, or the service in one, that a model can be made of.

        None where a server is not held by one, and where that runs several servers.
        """
        units = [(one.kind, one.name, one.service) for one in self.lxcs]
        alone = (one for one, unit in zip(self.lxcs, units, strict=True) if units.count(unit) == 1)
        return next((one for one in alone if one.pid == server.pid), None)

    def held_in(self, server: Server) -> KnownContainer | None:
        """The container whose paths a model has, None where those are its host's."""
        return self.container_of(server) or self.lxc_of(server)

    def is_scaled(self, container: FoundContainer) -> bool:
        """Whether its service of a compose project has several containers."""
        return [_composed(one) for one in self.containers].count(_composed(container)) > 1


def _composed(one: FoundContainer) -> tuple[str, str, str]:
    return one.socket, one.project, one.service


def _place(inside: Container) -> tuple[str, str]:
    return inside.name, inside.engine


class ImportedFlags(Value):
    """What a server's flags say as keys of a model.

    `left_out` says in sentences what is not taken over.
    """

    weights: str
    alias: str
    context: int | None
    parallel: int | None
    slots: str
    task: Task
    args: tuple[str, ...]
    left_out: tuple[str, ...]
