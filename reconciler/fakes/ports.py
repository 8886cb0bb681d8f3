"""Ports over one World.

Readers tell the truth unless the world hides it; actors do what the world's faults let them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Literal, TypeVar

import anyio
import anyio.lowlevel
from pydantic import JsonValue

from reconciler.errors import DriverError
from reconciler.fakes.engine import FakeEngine
from reconciler.fakes.host import FakeHost
from reconciler.fakes.life import Life
from reconciler.fakes.processes import FakeProcess
from reconciler.fakes.world import World
from reconciler.model.facts import (
    Binary,
    Claim,
    Contact,
    Fact,
    Flags,
    Known,
    Mark,
    Unit,
    UnitIdentity,
    Unknown,
)
from reconciler.model.gpu import Card, Gpu, Holder
from reconciler.model.held_unit import HeldUnit
from reconciler.model.log import LogPart
from reconciler.model.onhost import Action, Question
from reconciler.model.onhost.files import PrefetchFile
from reconciler.model.onhost.host import PrepareHost, WriteClaim
from reconciler.model.place import Inside
from reconciler.model.port import PortOwner, PortState
from reconciler.model.power import Canary, Guards, PowerState, Testimony
from reconciler.model.preparation import Prepared
from reconciler.model.spec import Kind, ModelSpec, Slice
from reconciler.ports import Evidence, HostPorts, Json, ModelPorts

T = TypeVar("T")

NOTICED_SECONDS = 0.5
AGAIN_SECONDS = 5.0
"""Seconds between the second TERM and KILL."""


@dataclass(frozen=True)
class FakeAccess:
    """The access to a world."""

    host: FakeHost

    @property
    def here(self) -> bool:
        """Whether it is this machine: a world is not."""
        return False

    async def contact(self) -> Fact[Contact]:
        """Look which boot it is in."""
        return await self.host.see("contact", lambda: Contact(boot_id=self.host.world.boot_id))

    async def ask(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        """Answer nothing: a world has no files to look into."""
        return tuple(Unknown(f"nothing answers {question.do} here") for question in questions)

    async def claim(self) -> Fact[Claim | None]:
        """Look which controller claims it."""
        return await self.host.see("claim", lambda: self.host.world.claim)

    async def port(self, port: int, inside: Inside | None = None) -> Fact[PortState]:
        """Look what listens on a port."""
        _ = inside
        return await self.host.see("port", lambda: self._owner(port))

    def _owner(self, port: int) -> PortState:
        process = self.host.world.on_port(port)
        return PortState(owner=None if process is None else _owner_of(process))

    async def prepared(self) -> Fact[Prepared]:
        """Look what it was prepared with since it came up."""
        return await self.host.see("prepared", lambda: Prepared(digest=self.host.world.prepared))

    async def changes(self, identity: UnitIdentity) -> AsyncIterator[None]:
        """Yield when a unit goes, and end."""
        lived = False
        while self._runs(identity):
            lived = True
            await self.host.world.clock.sleep(NOTICED_SECONDS)
        if lived:
            yield None

    def _runs(self, identity: UnitIdentity) -> bool:
        return any(one.identity == identity for one in self.host.world.units())

    async def act(self, action: Action) -> Evidence:
        """Claim or prepare the host or read ahead; raise DriverError for everything else."""
        match action:
            case WriteClaim():
                await self.host.act("claims", lambda: self._claim(action))
            case PrefetchFile():
                self.host.world.intended("prefetch")
                await self.host.act("prefetch", lambda: None)
            case PrepareHost():
                self.host.world.intended("prepare")
                await self.host.act("prepare", lambda: self._prepare(action))
            case _:
                raise DriverError(f"nothing does {action.do} here")
        return {}

    def _prepare(self, action: PrepareHost) -> None:
        checks = action.preparation.check is not None
        self.host.world.prepare(action.digest, checks=checks)

    def _claim(self, action: WriteClaim) -> None:
        world = self.host.world
        held = world.claim
        if held not in {None, action.claim, action.replaces} and not action.take_over:
            raise DriverError(f"this host is claimed by controller {held.name}")
        world.claimed(action.claim, take_over=action.take_over)

    @asynccontextmanager
    async def dial(self, port: int, address: str = "") -> AsyncIterator[str]:
        """Refuse: nothing in a world listens on a real port."""
        _ = address
        raise DriverError(f"port {port} of a world that is not there cannot be dialled")
        yield ""


def _owner_of(process: FakeProcess) -> PortOwner:
    model = process.mark.model if process.mark else None
    return PortOwner(pid=process.identity.pid, name=model or "nginx", model=model)


@dataclass(frozen=True)
class FakePower:
    """A world's power, and what its witness and its neighbours see."""

    host: FakeHost

    async def testimony(self) -> Fact[Testimony | None]:
        """Ask its witness, if it has one."""
        return await self._outside("testimony", self._witness)

    def _witness(self) -> Testimony | None:
        state = self.host.world.witnessed
        return Testimony(state=state, words="its socket says so") if state else None

    async def canary(self) -> Fact[Canary]:
        """Ask its neighbour."""
        return await self._outside("canary", lambda: Canary(address="the gateway"))

    async def guards(self, way: Literal["off", "suspend"]) -> Fact[Guards]:
        """Look what forbids to shut it down, or to suspend it."""
        _ = way
        return await self.host.see("guards", lambda: self.host.world.guards)

    async def _outside(self, name: str, look: Callable[[], T]) -> Fact[T]:
        """Look from outside, whether the host is on or not."""
        self.host.life.cross(name)
        await anyio.lowlevel.checkpoint()
        _ = self.host.world.now
        hidden = self.host.world.unseen.get(name)
        return Unknown(hidden) if hidden else Known(look())

    async def wake(self, attempt: int) -> Evidence:
        """Let it boot."""
        self.host.world.intended("wake")
        await self.host.act("wake", self.host.world.woken)
        return {"attempt": attempt}

    async def shut_down(self) -> Evidence:
        """Let it go down."""
        return await self._down("shutdown", "off")

    async def suspend(self) -> Evidence:
        """Let it sleep."""
        return await self._down("suspend", "suspended")

    async def cut(self) -> Evidence:
        """Cut its power."""
        self.host.world.intended("shutdown", "await_down")
        await self.host.act("cut", self.host.world.cut)
        return {}

    async def _down(self, kind: str, state: PowerState) -> Evidence:
        self.host.world.intended(kind)
        await self.host.act(kind, lambda: self.host.world.turn(state))
        return {}


@dataclass(frozen=True)
class FakeGpu:
    """The accelerator memory of a world."""

    host: FakeHost

    async def gpu(self) -> Fact[Gpu]:
        """Read it; empty when it has none to look after."""
        return await self.host.see("gpu", self._memory)

    def _memory(self) -> Gpu:
        world = self.host.world
        if world.memory_bytes is None:
            return Gpu()
        holders = tuple(_holders(world.processes))
        card = Card(total=world.memory_bytes, free=world.free_bytes(), holders=holders)
        return Gpu(cards=(card,))


def _holders(processes: Iterable[FakeProcess]) -> Iterator[Holder]:
    for process in processes:
        if size := process.nature.memory_bytes:
            yield Holder(pid=process.identity.pid, bytes=size)


@dataclass(frozen=True)
class FakeLauncher:
    """A launcher of processes in a world, which knows those that it started."""

    host: FakeHost
    kind: str = "process"

    @property
    def needs_definition(self) -> bool:
        """Whether it needs definitions to find units: it sees every process with a mark."""
        return False

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        """Find every process with a mark, whatever named it."""
        _ = former
        return await self.host.see("units", self._units)

    def _units(self) -> tuple[Unit, ...]:
        now, found = self.host.world.now, self.host.world.units()
        mine = [one for one in found if one.launcher == self.kind]
        return tuple(_unit(one, one.mark, now) for one in mine if one.mark)

    async def binary(self, model: ModelSpec) -> Fact[Binary]:
        """Look at the program that would be started."""
        return await self.host.see("binary", lambda: self._binary(model))

    def _binary(self, model: ModelSpec) -> Binary:
        return self.host.world.binaries.get(model.name, Binary(path="engine"))

    async def flags(self, model: ModelSpec) -> Fact[Flags]:
        """Ask why the program would refuse its command line."""
        refusals = self.host.world.refusals
        return await self.host.see("flags", lambda: Flags(problem=refusals.get(model.name, "")))

    async def log(self, model_name: str, lines: int = 20, after: str = "") -> Fact[LogPart]:
        """Read what the model's engine wrote."""
        return await self.host.see("log", lambda: self._log(model_name, lines, after))

    def _log(self, model_name: str, lines: int, after: str) -> LogPart:
        starts = self.host.world.logs.get(model_name, ((),))
        written = tuple(chain(*starts))
        since = written[int(after) :] if after else starts[-1]
        return LogPart(lines=since[-lines:], end=str(len(written)))

    async def start(self, model: ModelSpec, mark: Mark) -> Evidence:
        """Start a unit; raise DriverError when its program cannot run."""
        world = self.host.world
        world.intended("start")
        if problem := self._binary(model).problem:
            raise DriverError(problem)
        started: list[FakeProcess] = []
        await self.host.act("start", lambda: started.append(world.start(model, mark)))
        return {"identity": started[0].identity.model_dump()} if started else {}

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End a unit that is still the one that was meant: TERM, `grace` seconds, TERM, KILL."""
        world = self.host.world
        world.intended("stop")
        process = self._process(unit)
        if process is None:
            return {"gone": True, "rungs": []}
        await self.host.act("stop", lambda: world.term(process, process.nature.ends_in))
        if world.faults.get("stop") == "lies":
            return {"gone": True, "rungs": ["term"]}
        return {"gone": True, "rungs": await self._rungs(process, grace)}

    def _process(self, unit: Unit) -> FakeProcess | None:
        processes = self.host.world.processes
        return next((one for one in processes if one.identity == unit.identity), None)

    async def _rungs(self, process: FakeProcess, grace: float) -> list[JsonValue]:
        """Climb until it is gone."""
        rungs: list[JsonValue] = []
        for seconds in (grace, AGAIN_SECONDS):
            rungs.append("term")
            if await self._ends(process, seconds):
                return rungs
        self.host.world.term(process, 0)
        self.host.life.cross("stop, killed")
        return [*rungs, "kill"]

    async def _ends(self, process: FakeProcess, seconds: float) -> bool:
        world = self.host.world
        with anyio.move_on_after(seconds):
            while process in world.processes:
                await world.clock.sleep(0.05)
                self.host.life.cross("stop, waiting")
                _ = world.now
            return True
        return False


def _unit(process: FakeProcess, mark: Mark, now: float) -> Unit:
    return Unit(
        identity=process.identity,
        mark=mark,
        members=(process.identity.pid,),
        uptime=now - process.started,
        launcher=Kind(kind=process.launcher),
    )


@dataclass(frozen=True)
class FakeDrivers:
    """The class behind each port."""

    access: type[FakeAccess] = FakeAccess
    power: type[FakePower] = FakePower
    gpu: type[FakeGpu] = FakeGpu
    launcher: type[FakeLauncher] = FakeLauncher
    engine: type[FakeEngine] = FakeEngine


ALL_FAKE = FakeDrivers()


def ports(world: World, slice_: Slice, life: Life, parts: FakeDrivers = ALL_FAKE) -> HostPorts:
    """Make the ports of a world for one life of the controller."""
    host = FakeHost(world, life)
    kinds = sorted(world.launchers | {model.launcher.kind for model in slice_.models})
    launchers = {kind: parts.launcher(host, kind) for kind in kinds}

    def of_model(model: ModelSpec) -> ModelPorts:
        engine = parts.engine(host, model)
        launcher = launchers[model.launcher.kind]
        return ModelPorts(launcher=launcher, engine=engine, files=engine)

    models = {model.name: of_model(model) for model in slice_.models}
    return HostPorts(parts.access(host), parts.power(host), parts.gpu(host), launchers, models)
