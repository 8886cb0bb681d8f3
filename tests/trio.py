"""Three hosts that are not there, of which one has bad drivers, under commands and the watch."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

import anyio

from reconciler.drivers.contained import contained, methods
from reconciler.edge import trace
from reconciler.edge.notify import SystemdSupervisor
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.edits import FakeEdits
from reconciler.fakes.journal import MemoryJournal
from reconciler.fakes.life import Life, MortalJournal
from reconciler.fakes.ports import ports
from reconciler.fakes.world import World
from reconciler.loop.hints_cache import HintsCache, HintsRead
from reconciler.loop.host_loop import HostLoopDeps
from reconciler.loop.watcher import Watcher
from reconciler.model.controller import Controller
from reconciler.model.facts import Known
from reconciler.model.names import Value
from reconciler.model.records import Row
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.ports import (
    Access,
    Engine,
    GpuReader,
    HostPorts,
    Journal,
    Launcher,
    ModelFiles,
    ModelPorts,
    PowerControl,
)
from reconciler.verbs.context import Actor
from reconciler.verbs.result import Outcome
from tests.chance import SeededRandom
from tests.crash.stage import want
from tests.sample_worlds import ME, PROVENANCE

Answer = TypeVar("Answer")

HOSTS = ("one", "bad", "two")
PROTOCOLS = {
    "access": Access,
    "power": PowerControl,
    "gpu": GpuReader,
    "launcher": Launcher,
    "engine": Engine,
    "files": ModelFiles,
}
MEMBERS = [(role, name) for role, protocol in PROTOCOLS.items() for name in methods(protocol)]

Badness: TypeAlias = Literal["raises", "groups", "hangs", "lies", "knows nonsense"]
BADNESS: tuple[Badness, ...] = get_args(Badness)
WORDS = "the wire is on fire"


@dataclass(frozen=True)
class Bad:
    """A driver that does its work, except where it is bad."""

    inner: object
    names: frozenset[str]
    badness: Badness

    def __getattr__(self, name: str) -> Any:
        true = getattr(self.inner, name)
        if name not in self.names:
            return true
        if not callable(true):
            return self._answer()
        if inspect.isasyncgenfunction(true):
            return self._events
        return self._called

    async def _called(self, *_: object, **__: object) -> object:
        if self.badness == "hangs":
            await anyio.sleep_forever()
        return self._answer()

    async def _events(self, *_: object) -> Any:
        if self.badness == "hangs":
            await anyio.sleep_forever()
        while self.badness in {"lies", "knows nonsense"}:
            yield None
        self._answer()

    def _answer(self) -> object:
        match self.badness:
            case "raises":
                raise ZeroDivisionError(WORDS)
            case "groups":
                raise ExceptionGroup(WORDS, [KeyError(WORDS), StopIteration(WORDS)])
            case "knows nonsense":
                return Known(self)
            case _:
                return self


def spoiled(one: HostPorts, members: frozenset[tuple[str, str]], badness: Badness) -> HostPorts:
    """Return ports that are bad in these members."""

    def bad(role: str, port: object) -> Any:
        return Bad(port, frozenset(name for where, name in members if where == role), badness)

    models = {
        name: ModelPorts(
            bad("launcher", model.launcher), bad("engine", model.engine), bad("files", model.files)
        )
        for name, model in one.models.items()
    }
    launchers = {kind: bad("launcher", launcher) for kind, launcher in one.launchers.items()}
    return HostPorts(
        bad("access", one.access), bad("power", one.power), bad("gpu", one.gpu), launchers, models
    )


class FreeLock:
    """A lock that is always free."""

    @contextmanager
    def held(self, *, obeys: bool = False) -> Iterator[None]:
        yield


@dataclass
class Trio:
    """The context of a verb over three worlds with one clock and journal, one of them bad."""

    traces: Path
    bad: frozenset[tuple[str, str]]
    badness: Badness
    clock: TurnedClock = field(default_factory=TurnedClock)
    controller: Controller = ME
    lock: FreeLock = field(default_factory=FreeLock)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.worlds = {name: World(self.clock) for name in HOSTS}
        self.slices = {name: self._slice(name) for name in HOSTS}
        self.source, self.life = self, Life()
        self.journal: Journal = MortalJournal(MemoryJournal(self.clock), self.life, self._noted)

    def _slice(self, name: str) -> Slice:
        wanted = want("a")
        return wanted.model_copy(update={"host": wanted.host.model_copy(update={"name": name})})

    def _noted(self, row: Row) -> None:
        self.worlds[row.record.host].noted(row)

    def read(self) -> Wanted:
        return Wanted(slices=self.slices, provenance=PROVENANCE)

    def run(self, work: Callable[..., Awaitable[Answer]], *given: object) -> Answer:
        return self.clock.run(work, *given)

    def document(self, verb: Callable[..., Awaitable[Outcome[Value]]], *given: object) -> Any:
        """Return what a verb answers, as JSON."""
        return self.run(verb, *given).document.model_dump(mode="json")

    def ports(self, slice_: Slice) -> HostPorts:
        return contained(partial(self._made, slice_), slice_, self.keep)

    readers = ports

    def remembered(self) -> HintsRead:
        return HintsRead(self.journal)

    def _made(self, slice_: Slice) -> HostPorts:
        name = slice_.host.name
        one = ports(self.worlds.get(name) or World(self.clock), slice_, self.life)
        return spoiled(one, self.bad, self.badness) if name == "bad" else one

    def keep(self, error: Exception) -> str:
        return trace.told([self.traces], error)

    @property
    def context(self) -> Actor:
        return cast("Actor", self)

    def serving(self, host: str) -> list[str]:
        return list(self.worlds[host].serving())

    async def watched(self, seconds: float) -> None:
        """Watch for so long; what the watch does not survive is raised."""
        edits = FakeEdits(self.read())
        deps = HostLoopDeps(
            self.ports,
            HintsCache(self.journal),
            self.clock,
            SeededRandom(),
            ME,
            self.said.append,
            edits.look,
            self.keep,
        )
        watcher = Watcher(deps, edits, SystemdSupervisor({}))
        async with anyio.create_task_group() as group:
            group.start_soon(watcher.run)
            await anyio.sleep(seconds)
            watcher.leave()
