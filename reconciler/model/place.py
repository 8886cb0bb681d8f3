"""Place: the container whose paths are meant, where they are not its host's own."""

from typing import Literal, TypeAlias

from reconciler.model.names import Value

Door: TypeAlias = int | str
"""Where a unit is reached: a port of its host, or `KIND/NAME:PORT` in a network of its own."""


class Inside(Value):
    """A container by its name, its id or its number, and the socket of the engine that keeps it.

    That of a service is named SCOPE/SERVICE.

    In a `network` of its own, its ports are nobody else's.
    Of an `image`, what is made has the host's own paths, and that image's programs.
    """

    kind: Literal["docker", "compose", "systemd", "lxc", "pct", "image"]
    name: str
    socket: str = ""
    network: Literal["host", "own"] = "host"

    def door(self, port: int) -> Door:
        """Name where a port of it is reached."""
        return port if self.network == "host" else f"{self.kind}/{self.name}:{port}"
