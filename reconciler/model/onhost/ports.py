"""Requests about ports: who listens, and what an engine says of its health."""

from typing import ClassVar, Literal

from pydantic import Field

from reconciler.model.onhost import ASK_SECONDS, Batch, OfDoor, Question
from reconciler.model.place import Inside


class AskPort(OfDoor, Question):
    """Ask who listens on a TCP port, on any address."""

    batch: ClassVar[Batch] = "kernel"
    do: Literal["port"] = "port"
    port: int


class AskPage(OfDoor, Question):
    """Ask who listens on a TCP port, and what an HTTP GET of `path` gives there.

    The GET goes to the loopback, or to a container's address, and only if one of `pids` listens. It
    ends after `seconds`; its answer has at most `limit` bytes, with its head. `key` goes with it as
    a bearer token.
    """

    do: Literal["page"] = "page"
    port: int
    path: str
    pids: tuple[int, ...]
    seconds: float
    limit: int
    key: str | None = Field(default=None, repr=False)

    @property
    def patience(self) -> float:
        """Its own time limit, and some."""
        return self.seconds + ASK_SECONDS


class AskDoor(Question):
    """Ask for the address at which a port of a container's own network is reached."""

    do: Literal["door"] = "door"
    inside: Inside
    port: int
