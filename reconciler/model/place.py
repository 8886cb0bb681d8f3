"""Place: the container whose paths are meant, where they are not its host's own."""

from typing import Literal

from reconciler.model.names import Value


class Inside(Value):
    """A container by its name, its id or its number, and the socket of the engine that keeps it."""

    kind: Literal["docker", "lxc"]
    name: str
    socket: str = ""
