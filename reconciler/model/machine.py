"""Machine: what a host has for serving models, as its program answers AskMachine, and how a server's flags read as keys."""

from __future__ import annotations

from reconciler.model.facts import Service
from reconciler.model.names import Value
from reconciler.model.spec import Task

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Card(Value):
    """Describe an accelerator; its memory in bytes is None where the kernel does not tell."""

    vendor: str
    name: str
    memory_bytes: int | None


class Node(Value):
    """Describe a device node: whether this user may use it, and which group may."""

    path: str
    usable: bool
    group: str


class Server(Value):
    """Describe a listening llama-server: its flags without secrets, the GGUF files in its memory, variables that are flags.

    `model` is set when it is a unit of ours.
    """

    pid: int
    port: int
    user: str
    directory: str
    program: str
    flags: tuple[str, ...]
    mapped: tuple[str, ...]
    variables: tuple[str, ...]
    service: Service | None
    model: str | None


class WeightsFile(Value):
    """Describe a GGUF file that lies somewhere, by its header. `problem` is why it cannot be read, empty when it can."""

    path: str
    size: int
    problem: str
    architecture: str
    type: str
    context_length: int
    kv_bytes_per_token: int


class Folder(Value):
    """Say whether a folder can be written, or made below the `nearest` that is there, and the bytes that are left."""

    path: str
    nearest: str
    writable: bool
    free_bytes: int


class Machine(Value):
    """Describe a host. `cut` says why the search for weights ended early, empty when it looked everywhere."""

    name: str
    user: str
    memory_bytes: int
    cards: tuple[Card, ...]
    nodes: tuple[Node, ...]
    programs: tuple[str, ...]
    servers: tuple[Server, ...]
    weights: tuple[WeightsFile, ...]
    cut: str
    folders: tuple[Folder, ...]
    free_port: int


class Adopted(Value):
    """Hold what a server's flags say as keys of a model. `left_out` says in sentences what is not taken over."""

    weights: str
    alias: str
    context: int | None
    parallel: int | None
    slots: str
    task: Task
    args: tuple[str, ...]
    left_out: tuple[str, ...]
