"""Requests of the docker launcher: containers that exist already."""

from typing import ClassVar, Literal

from reconciler.model.facts import UnitIdentity
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
