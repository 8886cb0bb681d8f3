"""A watch over a world that is not there, in no time: edits, requests, and what became of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import cast

import anyio

from reconciler.core.attempts import attempt_key
from reconciler.core.canonical import digest
from reconciler.core.live_tally import LiveTally
from reconciler.edge.notify import SystemdSupervisor
from reconciler.errors import LockHeld
from reconciler.fakes.edits import FakeEdits
from reconciler.fakes.journal import MemoryJournal
from reconciler.fakes.life import Life, MortalJournal
from reconciler.fakes.ports import ports
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.host_loop import HostLoopDeps
from reconciler.loop.observer import Observer
from reconciler.loop.watcher import Watcher
from reconciler.model.records import (
    Asked,
    Hold,
    Restart,
    Resume,
    Retry,
    RollBack,
    RunOpened,
    StepIntent,
)
from reconciler.model.spec import Slice
from reconciler.model.target import Provenance, Wanted
from reconciler.model.verdict import HostVerdict
from reconciler.ports import Clock, Doors, HostPorts, Journal, Supervisor
from reconciler.store.journal_file import JournalFile
from reconciler.verbs import delegate
from reconciler.verbs.context import Actor
from reconciler.verbs.rollback import promoted
from tests.chance import SeededRandom
from tests.crash.stage import Stage, serving_a
from tests.sample_worlds import HOST, ME, PROVENANCE, raised

PATIENCE = 10_000.0
"""No request waits longer than this, of the world's seconds."""

SETTLED = 30.0
"""By then a switch in this world has ended."""

QUICK = 1.0
"""Within this many seconds a request is heard."""


class TakenLock:
    """A lock that another process holds, which obeys."""

    @contextmanager
    def held(self, *, obeys: bool = False) -> Iterator[None]:
        raise LockHeld("watch acts", obeys=obeys)
        yield


@dataclass
class Asker:
    """What an asking verb needs."""

    journal: Journal
    clock: Clock
    lock: TakenLock = field(default_factory=TakenLock)


def wanted(*slices: Slice, provenance: Provenance = PROVENANCE) -> Wanted:
    return Wanted(slices={slice_.host.name: slice_ for slice_ in slices}, provenance=provenance)


class WatchedWorld:
    """A watch over a stage."""

    def __init__(self, stage: Stage, journal: MemoryJournal | JournalFile | None = None) -> None:
        self.stage, self.world = stage, stage.world
        self.edits = FakeEdits(wanted(stage.wanted))
        self.journal: MemoryJournal | JournalFile = journal or stage.kept()
        self.life = Life()
        self.said: list[str] = []
        self.supervisor: Supervisor = SystemdSupervisor({})
        self.tally = LiveTally()
        self.doors: Doors | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Watcher]:
        """Run the watch beside what is in the context, and let it leave afterwards."""
        journal = MortalJournal(self.journal, self.life, self.world.noted)
        deps = HostLoopDeps(
            self._ports,
            HintsCache(journal),
            self.world.clock,
            SeededRandom(),
            ME,
            self.said.append,
            self.read_again,
            raised,
            self.tally,
            self.doors,
        )
        watcher = Watcher(deps, self.edits, self.supervisor)
        async with anyio.create_task_group() as group:
            group.start_soon(watcher.run)
            yield watcher
            watcher.leave()

    def now(self) -> Wanted:
        """Return what is wanted now."""
        return wanted(self.stage.wanted)

    def read_again(self) -> None:
        """Let the watch read the files, which it does by itself a little later."""
        self.edits.look()

    def edit(self, slice_: Slice, provenance: Provenance = PROVENANCE) -> None:
        """Write what is wanted."""
        self.stage.wanted = slice_
        self.edits.write(wanted(slice_, provenance=provenance))

    async def ask(
        self, trigger: str, *noting: Retry | Restart | RollBack | Hold | Resume
    ) -> HostVerdict:
        """Ask, as another process does, and wait for the verdict."""
        for record in noting:
            self.journal.append(record)
        return await self.ask_with(Asked(host=HOST, trigger=trigger))

    async def ask_with(self, asked: Asked) -> HostVerdict:
        """Ask with a row of one's own."""
        asker = cast("Actor", Asker(MortalJournal(self.journal, Life()), self.world.clock))
        begun = await delegate.begin(asker, [asked])
        verdicts = await delegate.verdicts(asker, begun, self.said.append, PATIENCE)
        assert verdicts, "nobody answered"
        return verdicts[HOST]

    async def roll_back(self) -> HostVerdict | None:
        """Ask for the state before, when there is one."""
        now = self.stage.wanted
        others = [
            run for run in promoted(self.journal.rows(), HOST).values() if run.digest != digest(now)
        ]
        if not others:
            return None
        observed = await Observer(self._ports(now), now, self.world.clock).everything()
        leaves = attempt_key(now, digest(now), observed)
        return await self.ask(
            "rollback",
            RollBack(host=HOST, slice=others[-1].slice, digest=others[-1].digest, leaves=leaves),
        )

    def runs(self) -> list[str]:
        """Return what opened each run."""
        return [
            row.record.trigger for row in self.journal.rows() if isinstance(row.record, RunOpened)
        ]

    def first_effect_after(self, at: float) -> float:
        """Return how many seconds passed until the first effect."""
        return (
            next(
                row.at
                for row in self.journal.rows()
                if row.at >= at and isinstance(row.record, StepIntent)
            )
            - at
        )

    def _ports(self, slice_: Slice) -> HostPorts:
        return ports(self.world, slice_, self.life, self.stage.parts)


def serving() -> WatchedWorld:
    return WatchedWorld(serving_a())


def run(watched: WatchedWorld, script: Callable[[WatchedWorld], Awaitable[None]]) -> None:
    """Run a script beside the watch; at its end the world has seen no violation."""

    async def all_of_it() -> None:
        async with watched.watching():
            await script(watched)

    watched.world.clock.run(all_of_it)
    assert watched.world.violations == []


def serves(watched: WatchedWorld) -> set[str]:
    return set(watched.world.serving())
