"""Place: the container whose paths are meant, where they are not its host's own."""

from typing import Literal

from reconciler.model.names import Value


class Inside(Value):
    """A container by its name, its id or its number, and the socket of the engine that keeps it.

    Of an `image`, what is made has the host's own paths, and that image's programs.
    """

    kind: Literal["docker", "lxc", "pct", "image"]
    name: str
    socket: str = ""
