"""What can be asked of and done to a host and its models, and who knows the drivers that do it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

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
from reconciler.model.held_unit import HeldUnit
from reconciler.model.log import LogPart
from reconciler.model.onhost import Action, Question
from reconciler.model.place import Inside
from reconciler.model.port import PortState
from reconciler.model.power import Canary, Guards, Testimony
from reconciler.model.preparation import Prepared
from reconciler.model.spec import Capabilities, Command, HostSpec, Kind, ModelSpec
from reconciler.ports.evidence import Evidence, Json
from reconciler.ports.gate import Gate, GateReader

LOOPBACK = "127.0.0.1"


class AccessReader(Protocol):
    """The way to look at a host."""

    @property
    def here(self) -> bool:
        """Whether the host is the machine of this process, whose libraries may be asked."""
        ...

    async def contact(self) -> Fact[Contact]:
        """Which boot the host is in."""
        ...

    async def ask(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        """Answer all questions in one round trip, one fact each, in order."""
        ...

    async def prepared(self) -> Fact[Prepared]:
        """Which preparation the host had since it came up."""
        ...

    async def port(self, port: int, inside: Inside | None = None) -> Fact[PortState]:
        """Which process listens on a port of the host, and as which model if its mark tells.

        Or on one of the network that the container `inside` has of its own.
        """
        ...

    async def claim(self) -> Fact[Claim | None]:
        """Which controller acts on this host."""
        ...

    def changes(self, identity: UnitIdentity) -> AsyncIterator[None]:
        """Yield whenever it is worth looking at a unit again; end when it is gone."""
        ...


class Access(AccessReader, Protocol):
    """The way to act on a host."""

    async def act(self, action: Action) -> Evidence:
        """Perform one action; raise DriverError."""
        ...

    def dial(self, port: int, address: str = LOOPBACK) -> AbstractAsyncContextManager[str]:
        """Open a way to a port that the host reaches at an address of its own or of a container.

        It is an `http://address:port` on this machine.
        """
        ...


class PowerReader(Protocol):
    """What others say of a host's power, and what stands in the way of changing it."""

    async def testimony(self) -> Fact[Testimony | None]:
        """Ask a witness outside of the host, None where it has none."""
        ...

    async def canary(self) -> Fact[Canary]:
        """Ask a neighbour of the host, Unknown when none answers or can be asked."""
        ...

    async def guards(self, way: Literal["off", "suspend"]) -> Fact[Guards]:
        """List what stands in the way of taking the host down in this way."""
        ...


class PowerControl(PowerReader, Protocol):
    """What changes the power of a host."""

    async def wake(self, attempt: int) -> Evidence:
        """Ask the host to come up, the first time with `attempt` 0. Repeatable.

        Raise DriverError when nothing could be asked to wake it.
        """
        ...

    async def shut_down(self) -> Evidence:
        """Ask the host to go down.

        Irreversible; raise Declined when it will not, DriverError when it is not known whether it
        heard.
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
    """The accelerators of a host."""

    async def gpu(self) -> Fact[Gpu]:
        """Read the memory of the accelerators."""
        ...


class LauncherReader(Protocol):
    """The units that a launcher holds."""

    @property
    def needs_definition(self) -> bool:
        """Whether it sees only units that a definition names, so that none can be another's."""
        ...

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        """Every unit that this launcher holds: what has a mark, and what a definition names.

        One that cannot be seen is told as that, and hides no other. `former` are definitions that
        named this launcher once; what still runs by them is another definition than the wanted.
        """
        ...

    async def binary(self, model: ModelSpec) -> Fact[Binary]:
        """Find the program that would be started."""
        ...

    async def flags(self, model: ModelSpec) -> Fact[Flags]:
        """Whether that program would take its command line.

        It is run to find out, so only ask about what will be started.
        """
        ...

    async def log(self, model_name: str, lines: int = 20, after: str = "") -> Fact[LogPart]:
        """Read the last lines of the newest start.

        With the `end` of an earlier part, all that came after it, of later starts too.
        """
        ...


class Launcher(LauncherReader, Protocol):
    """What starts and stops units."""

    async def start(self, model: ModelSpec, mark: Mark) -> Evidence:
        """Start the unit with this mark. Observable."""
        ...

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End a unit that `units` told of, and its whole group. Observable.

        It gets TERM, `grace` seconds, TERM again, and KILL.
        """
        ...


class EngineReader(Protocol):
    """The way to look at an inference engine. `unit` is the unit that must own the port."""

    async def health(self, unit: Unit) -> Fact[Health]:
        """How far the engine is, asked without waking or disturbing it."""
        ...

    async def activity(self, unit: Unit) -> Fact[Activity]:
        """Read slots and requests. Costly: may wake a sleeping engine."""
        ...

    async def answer(self, unit: Unit) -> Fact[Answer]:
        """Whether the engine gives a real answer of its task.

        Costly: generates one token, never over a conversation.
        """
        ...


class Engine(EngineReader, Protocol):
    """The way to use an inference engine."""

    @property
    def bearer(self) -> str:
        """The key that every request has to carry, "" where none; read each time it is asked for.

        It is a secret: nothing shows or records it.
        """
        ...

    def dial(self, port: int) -> AbstractAsyncContextManager[str]:
        """Open a way to a port of the engine, as an `http://address:port` on this machine."""
        ...

    async def save(self, unit: Unit, activity: Activity, keep: tuple[str, ...] = ()) -> Evidence:
        """Save every slot of `activity` that holds a conversation. Repeatable.

        Each file is sealed with a sidecar and a checksum. Older files make room for new ones, but
        none of `keep`.
        """
        ...

    async def restore(self, unit: Unit, saved: Saved) -> Evidence:
        """Put saved slots back and prove each one; note every attempt before and after. Once."""
        ...


class ModelFiles(Protocol):
    """What a model keeps on its host: weights, saved slots, and what both depend on."""

    async def weights(self) -> Fact[Weights]:
        """Read the header of the weights file."""
        ...

    async def saved(self) -> Fact[Saved]:
        """List the newest saved slots."""
        ...

    async def fingerprint(self) -> Fact[Fingerprint]:
        """Identify all that a saved slot depends on."""
        ...


@dataclass(frozen=True)
class ModelReaders:
    """Everything that can be asked about one model."""

    launcher: LauncherReader
    engine: EngineReader
    files: ModelFiles


@dataclass(frozen=True)
class ModelPorts(ModelReaders):
    """Everything that can be asked of and done to one model."""

    launcher: Launcher
    engine: Engine


@dataclass(frozen=True)
class HostReaders:
    """Everything that can be asked about one host. `launchers` holds every kind that there is."""

    # A kind that no model names any more may still hold units of ours.

    access: AccessReader
    power: PowerReader
    gpu: GpuReader
    launchers: Mapping[str, LauncherReader]
    models: Mapping[str, ModelReaders]
    gate: GateReader | None = None


@dataclass(frozen=True)
class HostPorts(HostReaders):
    """Everything that can be asked of and done to one host."""

    access: Access
    power: PowerControl
    launchers: Mapping[str, Launcher]
    models: Mapping[str, ModelPorts]
    gate: Gate | None = None


class OptionsCatalog(Protocol):
    """What each kind of driver takes and can do."""

    def kinds(self, role: str) -> tuple[str, ...]:
        """List the kinds of a role: access, power, gpu, launcher or engine."""
        ...

    def options(self, role: str, kind: str) -> type[BaseModel]:
        """Look up the model that a kind's options must fit; raise KeyError."""
        ...

    def capabilities(self, role: str, kind: Kind) -> Capabilities:
        """What a driver with these options can do, for the planner."""
        ...

    def command(
        self, kind: str, options: BaseModel, model_name: str, port: int, gpus: Sequence[int]
    ) -> Command:
        """What an engine of this kind is started with, on the cards it may use. Pure.

        No cards in `gpus` means any.
        """
        ...

    def needed(self, engine: str) -> tuple[str, ...]:
        """List the options without which no command line of this kind of engine can be made."""
        ...

    def inside(self, launcher: Kind, model_name: str) -> Inside | None:
        """Name the container whose paths a model's command line has, None for the host. Pure."""
        ...

    def launched(self, launcher: Kind) -> JsonValue:
        """List what identifies a unit beside its command line, None for nothing. Pure."""
        ...


class Catalog(OptionsCatalog, Protocol):
    """The drivers by kind."""

    def hosts(self, host: HostSpec, models: Sequence[ModelSpec]) -> HostPorts:
        """Assemble the ports of one host."""
        ...
