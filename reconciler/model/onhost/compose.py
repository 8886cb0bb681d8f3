"""Requests of the compose launcher: services of projects that exist already."""

from typing import ClassVar, Literal

from reconciler.model.facts import UnitIdentity
from reconciler.model.names import Value
from reconciler.model.onhost import READ_SECONDS, Action, InDoubt, Question


class GivenComposeService(Value):
    """A service of a compose project, and the socket of the engine that keeps its container.

    `file` defines it, "" for what its container names; "" is the only engine that answers.
    """

    project: str
    service: str
    file: str
    socket: str

    @property
    def name(self) -> str:
        """It as people speak of it."""
        return f"{self.service} of project {self.project}"


class AskComposeServices(Question):
    """Ask of each service whether it could be started, and what runs of it, in the same order."""

    do: Literal["compose-services"] = "compose-services"
    services: tuple[GivenComposeService, ...]

    @property
    def patience(self) -> float:
        """As long as the compose program takes to read a file."""
        return READ_SECONDS


class AskComposeCommand(Question, GivenComposeService):
    """Ask for a container's command line, as `model.given_command.GivenCommand` holds it."""

    do: Literal["compose-command"] = "compose-command"


class AskComposeLog(Question, GivenComposeService):
    """Ask for the last lines of the newest run and their `end`.

    With `after`, the `end` of an earlier answer, ask for the first lines since.
    """

    do: Literal["compose-log"] = "compose-log"
    lines: int = 20
    after: str = ""


class StartComposeService(Action, GivenComposeService):
    """Start a service's container, which is made where it lacks or its definition changed.

    Answers its identity once its first process runs.
    """

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["start-compose"] = "start-compose"


class StopComposeService(Action, GivenComposeService):
    """End this run of a service's container: its own signal, and KILL after `grace` seconds."""

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["stop-compose"] = "stop-compose"
    identity: UnitIdentity
    grace: float
    kill: float

    @property
    def patience(self) -> float:
        """Its own time limits, and the time that the engine takes to answer."""
        return self.grace + 3 * self.kill + READ_SECONDS
