"""Requests about power: what stands in the way of a shutdown, the shutdown, and magic packets."""

from typing import ClassVar, Literal

from reconciler.model.onhost import POWER_SECONDS, Action, InDoubt, Question


class AskGuards(Question):
    """Ask who and what stands in the way of this kind of shutdown, and whether this user may."""

    do: Literal["guards"] = "guards"
    way: Literal["off", "suspend"]


class SendDown(Action):
    """Ask the host's own system to go down; whatever inhibits that is heeded."""

    in_doubt: ClassVar[InDoubt] = "irreversible"
    refusal_is_final: ClassVar[bool] = True
    do: Literal["send-down"] = "send-down"
    way: Literal["off", "suspend"]

    @property
    def patience(self) -> float:
        """Short: a host that goes down may not answer any more."""
        return POWER_SECONDS


class AskWakeOn(Question):
    """Ask which network card has an address, and what wakes it."""

    do: Literal["wake-on"] = "wake-on"
    mac: str


class AskNeighbour(Question):
    """Ask for an address that answers now.

    It is this one, or the gateway of the network in which `host` is.
    """

    do: Literal["neighbour"] = "neighbour"
    address: str | None
    host: str


class WakeOther(Action):
    """Send magic packets to a network card.

    They go to `broadcast`; without one, to each network of this host and to 255.255.255.255.
    """

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["wake"] = "wake"
    mac: str
    password: str | None = None
    broadcast: str | None = None
    port: int = 9
    interface: str | None = None
    source: str | None = None

    @property
    def patience(self) -> float:
        """As long as for a shutdown."""
        return POWER_SECONDS
