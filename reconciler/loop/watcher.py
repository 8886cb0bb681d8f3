"""Watcher: hear what changes (the files, what people ask for) and let the loop of each host know.

Nothing else acts.
"""

from __future__ import annotations

import anyio
from anyio.abc import TaskGroup

from reconciler.core.admission import routes
from reconciler.loop.host_loop import HostLoop, HostLoopDeps
from reconciler.model.lending import NOTHING_LENT
from reconciler.model.records import Record
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.ports import Doors, Edits, Supervisor

BEATS_PER_WATCHDOG = 3
READY_SECONDS = 20.0
"""How long a first pass may keep the start waiting: one that loads a model takes minutes."""

KEPT, IDLE = "what was wanted before is kept", "nothing is done"


class Watcher:
    """The keeper of every host that the files name."""

    def __init__(
        self,
        deps: HostLoopDeps,
        edits: Edits,
        supervisor: Supervisor,
    ) -> None:
        """Act by `deps`, follow `edits`, report to `supervisor`."""
        self._deps = deps
        self._edits = edits
        self._supervisor = supervisor
        self._loops: dict[str, HostLoop] = {}
        self._heard = 0
        self._said = ""
        self._told, self._left = anyio.Event(), anyio.Event()

    async def run(self) -> None:
        """Watch until told to leave, then wait for the effects in flight; raise DurabilityError."""
        self._heard = await self._deps.cache.journal.newest()
        async with anyio.create_task_group() as keeping:
            async with anyio.create_task_group() as listening:
                listening.start_soon(
                    self._edits.follow, lambda told: self._take(told, keeping), self._listen
                )
                listening.start_soon(self._beat)
                if self._deps.doors is not None:
                    listening.start_soon(self._stir, self._deps.doors)
                listening.start_soon(self._announce)
                await self._left.wait()
                listening.cancel_scope.cancel()
            self._supervisor.stopping()
            for loop in self._loops.values():
                loop.leave()

    def leave(self) -> None:
        """End as soon as nothing is half done."""
        self._left.set()

    def look(self) -> None:
        """Read the files and look at every host now."""
        self._edits.look()
        for loop in self._loops.values():
            loop.look()

    async def _announce(self) -> None:
        """Tell that the start is over: the files were read, and each host was seen to."""
        with anyio.move_on_after(READY_SECONDS):
            await self._told.wait()
            for loop in tuple(self._loops.values()):
                await loop.passed.wait()
        self._supervisor.ready()

    def _take(self, told: Wanted | str, keeping: TaskGroup) -> None:
        self._told.set()
        if isinstance(told, str):
            self._deps.tally.unusable()
            if self._deps.doors is not None:
                self._deps.doors.unusable()
            self._say(f"{told}\n{KEPT if self._loops else IDLE} until that changes")
            return
        self._say(_following(told))
        self._deps.tally.follows(told)
        if self._deps.doors is not None:
            later = self._deps.doors.route(routes(told))
            if later:
                self._deps.say(later)
        for name in self._loops.keys() - told.slices.keys():
            self._loops.pop(name).drop()
        for name, slice_ in told.slices.items():
            self._want(name, slice_, told, keeping)

    def _want(self, name: str, slice_: Slice, told: Wanted, keeping: TaskGroup) -> None:
        rules = told.rules.get(name, NOTHING_LENT)
        if name in self._loops:
            self._loops[name].want(slice_, told.provenance, rules)
        else:
            self._loops[name] = HostLoop(self._deps, slice_, told.provenance, rules)
            keeping.start_soon(self._loops[name].run)

    def _say(self, line: str) -> None:
        if line != self._said:
            self._deps.say(line)
        self._said = line

    async def _listen(self) -> None:
        """Hear what others have written into the journal."""
        newest = await self._deps.cache.journal.newest()
        if newest != self._heard:
            self._heard, before = newest, self._heard
            self._pass_on([row.record for row in await self._deps.cache.journal.since(before)])

    def _pass_on(self, records: list[Record]) -> None:
        for name, loop in self._loops.items():
            loop.hear(record for record in records if record.host == name)

    async def _stir(self, doors: Doors) -> None:
        """Look at a host whose engine requests could not reach."""
        async for host in doors.stirred():
            if host in self._loops:
                self._loops[host].look()

    async def _beat(self) -> None:
        """Show that the loop turns, a few times within what is taken for a hang."""
        seconds = self._supervisor.watchdog_seconds
        while seconds is not None:
            self._supervisor.alive()
            await anyio.sleep(seconds / BEATS_PER_WATCHDOG)


def _following(wanted: Wanted) -> str:
    trouble = wanted.provenance.trouble
    why = f"; {trouble}" if trouble else ""
    return f"following {wanted.provenance}: {', '.join(wanted.slices) or 'no host'}{why}"
