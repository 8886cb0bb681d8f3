"""What can be asked of and done to the gateway: which models requests reach, and how many do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from reconciler.model.facts import Fact, UnitIdentity
from reconciler.model.lending import Demand, Outlook
from reconciler.model.metrics import MetricFamily
from reconciler.model.traffic import Admitting, Routes, Traffic
from reconciler.ports.evidence import Evidence


class EngineWay(NamedTuple):
    """How requests reach an engine: at `url`, so many at once, with a `bearer` key ("": none).

    A request may have `context` tokens (0: not known), of a model of this `architecture` ("").
    """

    url: str
    at_once: int
    bearer: str = ""
    context: int = 0
    architecture: str = ""

    def __repr__(self) -> str:
        return f"EngineWay({self.url!r}, at_once={self.at_once})"


class GateReader(Protocol):
    """See what the gateway does for one host."""

    async def admitting(self, model_name: str) -> Fact[Admitting]:
        """Which unit requests for a model may reach."""
        ...

    async def traffic(self, model_name: str) -> Fact[Traffic]:
        """How many requests for a model are under way."""
        ...


class Gate(GateReader, Protocol):
    """Say for one host which requests may go where."""

    async def admit(self, model_name: str, identity: UnitIdentity, way: EngineWay) -> Evidence:
        """Let requests for a model reach a unit. Repeatable."""
        ...

    async def hold(self, model_name: str, because: str) -> Evidence:
        """Let no new request reach a model; what is under way goes on. Repeatable."""
        ...

    async def hang_up(self, model_name: str) -> Evidence:
        """Close the idle connections to a model's engine. Repeatable."""
        ...


class Lobby(Protocol):
    """The requests for the models of one host, and what they are told."""

    def demands(self) -> Mapping[str, Demand]:
        """What requests want of each model now."""
        ...

    def pause(self, model_names: Collection[str]) -> None:
        """Let new requests for these models wait, and no others: it is another model's turn."""
        ...

    def refuse(self, reasons: Mapping[str, str]) -> None:
        """Tell requests for these models, while they do not serve, why they would wait in vain."""
        ...

    def foresee(self, outlooks: Mapping[str, Outlook]) -> None:
        """Take how long what keeps requests from these models lasts, and which of them failed."""
        ...

    def estimate(self, seconds: Mapping[str, float]) -> None:
        """Take in how many seconds each model may serve that does not."""
        ...

    def expect(self, model_names: Collection[str]) -> None:
        """Let requests for these models wait and pass, also where the files do not allow it."""
        ...

    def rest(self, model_names: Collection[str]) -> None:
        """Take which models only a request rouses: their host rests."""
        ...

    def displace(self, model_names: Collection[str]) -> None:
        """Take which models of the files do not come while others are lent in their place."""
        ...

    def explain(self, reasons: Mapping[str, str]) -> None:
        """Take why these models are not there yet, for requests that wait until it is too late."""
        ...

    async def changed(self) -> None:
        """Wait until what requests want has changed since the last time."""
        ...

    def report(self, trouble: str) -> None:
        """Take that a pass was made, and why no other model can be brought in ("": nothing)."""
        ...


class Doors(Protocol):
    """The gates of all hosts, as those who keep the hosts see them."""

    def gate(self, host: str) -> Gate:
        """The gate of one host."""
        ...

    def lobby(self, host: str) -> Lobby:
        """The requests of one host."""
        ...

    def route(self, routes: Routes) -> str:
        """Take which models requests may name; say what counts only from the next start, or ""."""
        ...

    def unusable(self) -> None:
        """Take that the files cannot be used as they are, until the next routes are told."""
        ...

    def metrics(self) -> tuple[MetricFamily, ...]:
        """What became of requests, and what is under way."""
        ...

    async def left(self) -> None:
        """Wait until this process ends, and nothing that is asked is done here any more."""

    def stirred(self) -> AsyncIterator[str]:
        """Name each host to look at, because a request met what no look has seen yet."""
        ...


class Front(Protocol):
    """The gateway of this process."""

    @property
    def doors(self) -> Doors:
        """Its gates."""
        ...

    def opened(self) -> AbstractAsyncContextManager[tuple[str, ...]]:
        """Listen until left, and give the addresses; then let what is under way end."""
        ...
