"""Requests of the launchers lxc and pct: containers of LXC that exist already."""

from typing import ClassVar, Literal

from reconciler.model.facts import UnitIdentity
from reconciler.model.names import Value
from reconciler.model.onhost import READ_SECONDS, Action, InDoubt, Question


class GivenLxc(Value):
    """A container of LXC by its name, which for Proxmox VE is its number, and whose it is.

    With a `service`, that is meant, as the systemd inside knows it. `network` is where it is
    reached.
    """

    name: str
    keeper: Literal["lxc", "pct"]
    service: str = ""
    network: Literal["host", "own"] = "host"


class AskLxc(Question):
    """Ask of each container whether it could be started, and what runs of it, in the same order."""

    do: Literal["lxc"] = "lxc"
    containers: tuple[GivenLxc, ...]

    @property
    def patience(self) -> float:
        """LXC and the systemd in a container are given up there, with what did not answer."""
        return READ_SECONDS


class AskLxcCommand(Question, GivenLxc):
    """Ask for the command line of a container's init, as `model.given_command.GivenCommand`."""

    do: Literal["lxc-command"] = "lxc-command"


class AskLxcLog(Question, GivenLxc):
    """Ask for the last lines of a container's console since its newest start, and their `end`.

    With `after`, the `end` of an earlier answer, ask for the lines since.
    """

    do: Literal["lxc-log"] = "lxc-log"
    lines: int = 20
    after: str = ""


class StartLxc(Action, GivenLxc):
    """Start a container; answers its identity once its init runs."""

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["start-lxc"] = "start-lxc"


class StopLxc(Action, GivenLxc):
    """End this run of a container in its own way; after `grace` seconds, KILL all that is in it."""

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["stop-lxc"] = "stop-lxc"
    identity: UnitIdentity
    grace: float
    kill: float
