"""Requests of the systemd launcher: services that exist already, and those that it makes."""

from typing import ClassVar, Literal

from reconciler.model.facts import UnitIdentity
from reconciler.model.onhost import READ_SECONDS, Action, Batch, InDoubt, Question
from reconciler.model.onhost.processes import Spawned
from reconciler.model.origin import Service


class AskServices(Question):
    """Ask of each service whether it could be started, and what runs of it, in the same order."""

    do: Literal["services"] = "services"
    services: tuple[Service, ...]


class AskFoundServices(Question):
    """Ask which services run an engine, as `model.found_service.FoundServices` holds them."""

    do: Literal["found-services"] = "found-services"


class AskServiceCommand(Question, Service):
    """Ask for a service's command line, as `model.given_command.GivenCommand` holds it.

    With `container`, for that of the container which it makes.
    """

    do: Literal["service-command"] = "service-command"
    container: bool = False


class AskServiceLog(Question, Service):
    """Ask for the last lines of a service's newest start and their `end`.

    With `after`, the `end` of an earlier answer, ask for the first lines since.
    """

    do: Literal["service-log"] = "service-log"
    lines: int = 20
    after: str = ""


class AskOwnedServices(Question):
    """Ask for every service that carries our mark, each with whose systemd keeps it."""

    batch: ClassVar[Batch] = "kernel"
    do: Literal["owned-services"] = "owned-services"


class AskServiceName(Question, Service):
    """Ask why no service of ours can have this name, which may run already for `model`."""

    do: Literal["service-name"] = "service-name"
    model: str


class SpawnService(Action, Spawned, Service):
    """Make a service that starts a program; answers its identity once the program runs."""

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["spawn-service"] = "spawn-service"


class StartService(Action, Service):
    """Start a service; answers its identity once its main process runs."""

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["start-service"] = "start-service"


class StopService(Action, Service):
    """End this invocation of a service as its unit says; after `grace` seconds, KILL the rest.

    Where the identity has no invocation, it is the one with that process.
    """

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["stop-service"] = "stop-service"
    identity: UnitIdentity
    grace: float
    kill: float

    @property
    def patience(self) -> float:
        """Its own time limits, and the time that systemd takes to answer."""
        return self.grace + self.kill + READ_SECONDS
