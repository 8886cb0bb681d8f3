"""Watch: keep every host as the files say, until told to end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.host_loop import HostLoopDeps
from reconciler.loop.watcher import Watcher
from reconciler.model.spec import Slice
from reconciler.ports import Doors, HostPorts
from reconciler.verbs.context import Daemon

Steered: TypeAlias = Callable[[Watcher], AbstractAsyncContextManager[object]]
"""Entered with a watcher, it passes on to it what others ask for while the watch runs."""


async def run(app: Daemon, say: Callable[[str], None], steered: Steered) -> None:
    """Watch until the watcher is told to leave; raise LockHeld or DurabilityError."""
    with app.lock.held(obeys=True):
        watcher = Watcher(loop_deps(app, say, app.ports), app.edits, app.supervisor)
        async with steered(watcher):
            await watcher.run()


def loop_deps(
    app: Daemon,
    say: Callable[[str], None],
    ports: Callable[[Slice], HostPorts],
    doors: Doors | None = None,
) -> HostLoopDeps:
    """Gather what the loops of all hosts share; `ports` gives those of one host."""
    return HostLoopDeps(
        ports,
        HintsCache(app.journal),
        app.clock,
        app.random,
        app.controller,
        say,
        app.edits.look,
        app.keep,
        app.tally,
        doors,
    )
