"""What can be asked of and done to a host and its models, and who knows the drivers that do it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from pydantic import BaseModel, JsonValue

from reconciler.model.facts import (
    Activity,
    Answer,
    Binary,
    Claim,
    Contact,
    Fact,
    Fingerprint,
    Flags,
    Health,
    Mark,
    Saved,
    Unit,
    UnitIdentity,
    Weights,
)
from reconciler.model.gpu import Gpu
from reconciler.model.log import LogPart
from reconciler.model.onhost import Action, Question
from reconciler.model.port import PortState
from reconciler.model.power import Canary, Guards, Testimony
from reconciler.model.preparation import Prepared
from reconciler.model.spec import Capabilities, Command, HostSpec, Kind, ModelSpec

Json: TypeAlias = dict[str, JsonValue]
Evidence: TypeAlias = Json


class AccessReader(Protocol):
    """Look at a host."""

    @property
    def here(self) -> bool:
        """Whether the host is the machine of this process, whose libraries may be asked."""
        ...

    async def contact(self) -> Fact[Contact]:
        """Return which boot the host is in."""
        ...

    async def ask(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        """Answer all questions in one round trip, one fact each, in order."""
        ...

    async def prepared(self) -> Fact[Prepared]:
        """Return what the host was prepared with since it came up."""
        ...

    async def port(self, port: int) -> Fact[PortState]:
        """Return who listens on a port of the host, and as which model where its own environment tells."""
        ...

    async def claim(self) -> Fact[Claim | None]:
        """Return who acts on this host."""
        ...

    def changes(self, identity: UnitIdentity) -> AsyncIterator[None]:
        """Yield whenever it is worth looking at a unit again; end when it is gone."""
        ...


class Access(AccessReader, Protocol):
    """Act on a host."""

    async def act(self, action: Action) -> Evidence:
        """Perform one action; raise DriverError."""
        ...

    def dial(self, port: int) -> AbstractAsyncContextManager[str]:
        """Give `http://address:port` that reaches the host's loopback port from here."""
        ...


class PowerReader(Protocol):
    """Hear what others say of a host's power, and what stands in the way of changing it."""

    async def testimony(self) -> Fact[Testimony | None]:
        """Return what a witness outside of the host says, None where nobody watches it."""
        ...

    async def canary(self) -> Fact[Canary]:
        """Return who answers on the host's network, Unknown when nobody does or can be asked."""
        ...

    async def guards(self, way: Literal["off", "suspend"]) -> Fact[Guards]:
        """Return what stands in the way of sending the host down in this way."""
        ...


class PowerControl(PowerReader, Protocol):
    """Change the power of a host."""

    async def wake(self, attempt: int) -> Evidence:
        """Ask the host to come up, the first time with `attempt` 0. Repeatable.

        Raise DriverError when nobody could be asked.
        """
        ...

    async def shut_down(self) -> Evidence:
        """Ask the host to go down.

        Irreversible; raise Declined when it will not, DriverError when nobody can say.
        """
        ...

    async def suspend(self) -> Evidence:
        """Ask the host to suspend to RAM. Irreversible; raise as `shut_down` does."""
        ...

    async def cut(self) -> Evidence:
        """Take the power from the host, where the inventory allows that.

        Irreversible; raise as `shut_down` does.
        """
        ...


class GpuReader(Protocol):
    """Read accelerators."""

    async def gpu(self) -> Fact[Gpu]:
        """Return the memory of the accelerators."""
        ...


class LauncherReader(Protocol):
    """See units."""

    @property
    def needs_definition(self) -> bool:
        """Whether it sees only units that a definition names: none of its units can be anybody else's."""
        ...

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[Unit, ...]]:
        """Return every unit that this launcher holds: what carries a mark, and what is named by a definition.

        `former` are definitions that named this launcher once; what still runs by them is another
        definition than the wanted.
        """
        ...

    async def binary(self, model: ModelSpec) -> Fact[Binary]:
        """Return the program that would be started."""
        ...

    async def flags(self, model: ModelSpec) -> Fact[Flags]:
        """Return whether that program would take its command line.

        It is run for that, so only ask where it is to be started.
        """
        ...

    async def log(self, model_name: str, lines: int = 20, after: str = "") -> Fact[LogPart]:
        """Return the last lines of the newest start.

        After the `end` of an earlier part, all since, of later starts too.
        """
        ...


class Launcher(LauncherReader, Protocol):
    """Start and stop units."""

    async def start(self, model: ModelSpec, mark: Mark) -> Evidence:
        """Start the unit with this mark. Observable."""
        ...

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End a unit that `units` told of, and its whole group: TERM, `grace` seconds, TERM, KILL. Observable."""
        ...


class EngineReader(Protocol):
    """Look at an inference engine. `unit` is the unit that must own the port."""

    async def health(self, unit: Unit) -> Fact[Health]:
        """Return how far the engine is, without waking or disturbing it."""
        ...

    async def activity(self, unit: Unit) -> Fact[Activity]:
        """Return slots and requests. Costly: may wake a sleeping engine."""
        ...

    async def answer(self, unit: Unit) -> Fact[Answer]:
        """Return whether the engine gives a real answer of its task.

        Costly: generates one token, never over a conversation.
        """
        ...


class Engine(EngineReader, Protocol):
    """Use an inference engine."""

    async def save(self, unit: Unit, activity: Activity, keep: tuple[str, ...] = ()) -> Evidence:
        """Save every slot of `activity` that holds a conversation, sealed with sidecar and checksum. Repeatable.

        Older files make room for new ones, but none of `keep`.
        """
        ...

    async def restore(self, unit: Unit, saved: Saved) -> Evidence:
        """Put saved slots back and prove each one; note every attempt before and after. Once."""
        ...


class ModelFiles(Protocol):
    """Look at what a model keeps on its host: weights, saved slots, and what both depend on."""

    async def weights(self) -> Fact[Weights]:
        """Return the weights file, from its header."""
        ...

    async def saved(self) -> Fact[Saved]:
        """Return the newest saved slots."""
        ...

    async def fingerprint(self) -> Fact[Fingerprint]:
        """Return the identity of all that a saved slot depends on."""
        ...


@dataclass(frozen=True)
class ModelReaders:
    """Gather what can be asked about one model."""

    launcher: LauncherReader
    engine: EngineReader
    files: ModelFiles


@dataclass(frozen=True)
class ModelPorts(ModelReaders):
    """Gather what can be asked of and done to one model."""

    launcher: Launcher
    engine: Engine


@dataclass(frozen=True)
class HostReaders:
    """Gather what can be asked about one host. `launchers` holds every kind that there is.

    A kind that no model names any more may still hold units of ours.
    """

    access: AccessReader
    power: PowerReader
    gpu: GpuReader
    launchers: Mapping[str, LauncherReader]
    models: Mapping[str, ModelReaders]


@dataclass(frozen=True)
class HostPorts(HostReaders):
    """Gather what can be asked of and done to one host."""

    access: Access
    power: PowerControl
    launchers: Mapping[str, Launcher]
    models: Mapping[str, ModelPorts]


class OptionsCatalog(Protocol):
    """Know what each kind of driver takes and can do."""

    def kinds(self, role: str) -> tuple[str, ...]:
        """Return the kinds of a role: access, power, gpu, launcher or engine."""
        ...

    def options(self, role: str, kind: str) -> type[BaseModel]:
        """Return the model that a kind's options must fit; raise KeyError."""
        ...

    def capabilities(self, role: str, kind: Kind) -> Capabilities:
        """Return what the planner must know of a driver."""
        ...

    def command(
        self, kind: str, options: BaseModel, model_name: str, port: int, gpus: Sequence[int]
    ) -> Command:
        """Return what an engine of this kind is started with, on the cards it may use (none named: any). Pure."""
        ...


class Catalog(OptionsCatalog, Protocol):
    """Know the drivers by kind."""

    def hosts(self, host: HostSpec, models: Sequence[ModelSpec]) -> HostPorts:
        """Return the ports of one host."""
        ...
