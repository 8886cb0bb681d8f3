"""Requests of the docker launcher: containers that exist already, and our own."""

from typing import ClassVar, Literal

from pydantic import Field

from reconciler.model.facts import Mark, UnitIdentity
from reconciler.model.names import Value
from reconciler.model.onhost import READ_SECONDS, Action, InDoubt, Question


class GivenContainer(Value):
    """A container by its name, and the socket of the engine that keeps it.

    "" is the only one on the host that answers.
    """

    name: str
    socket: str


class AskContainers(Question):
    """Ask of each container whether it could be started, and what runs of it, in the same order."""

    do: Literal["containers"] = "containers"
    containers: tuple[GivenContainer, ...]


class AskContainerCommand(Question, GivenContainer):
    """Ask for a container's command line, as `model.given_command.GivenCommand` holds it."""

    do: Literal["container-command"] = "container-command"


class AskContainerLog(Question, GivenContainer):
    """Ask for the last lines of a container's newest run and their `end`.

    With `after`, the `end` of an earlier answer, ask for the first lines since.
    """

    do: Literal["container-log"] = "container-log"
    lines: int = 20
    after: str = ""


class StartContainer(Action, GivenContainer):
    """Start a container; answers its identity once its first process runs."""

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["start-container"] = "start-container"


class StopContainer(Action, GivenContainer):
    """End this run of a container: its own signal, and KILL after `grace` seconds."""

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["stop-container"] = "stop-container"
    identity: UnitIdentity
    grace: float
    kill: float

    @property
    def patience(self) -> float:
        """Its own time limits, and the time that the engine takes to answer."""
        return self.grace + 3 * self.kill + READ_SECONDS


class OwnedContainer(GivenContainer):
    """What a container of ours is made of; every folder is at its own path in it.

    `directory` is relative to the host directory, and `folders` to it, unless they are absolute.
    `user` is numbers, None for this account's, and `shm` bytes, None for the engine's default.
    """

    image: str
    argv: tuple[str, ...]
    directory: str
    folders: tuple[str, ...] = ()
    devices: Literal["auto", "none", "all"] | tuple[str, ...] = "auto"
    user: str | None = None
    volumes: tuple[str, ...] = ()
    ipc: str | None = None
    shm: int | None = None


class AskImage(Question):
    """Ask what image a container of ours would be made of, and why it could not be."""

    do: Literal["image"] = "image"
    container: OwnedContainer


class AskOwnedContainers(Question):
    """Ask for every container that carries our mark, at the engines on these sockets."""

    do: Literal["owned-containers"] = "owned-containers"
    sockets: tuple[str, ...]


class RunContainer(Action):
    """Make a container, see that nothing was left out, and start it; answers its identity.

    The one that had its name before is removed if it is ours and over.
    """

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["run-container"] = "run-container"
    container: OwnedContainer
    mark: Mark
    env: dict[str, str] = Field(repr=False)
