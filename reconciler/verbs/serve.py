"""Serve: watch, and carry requests to the models that serve, at one address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reconciler.loop.watcher import Watcher
from reconciler.model.spec import Slice
from reconciler.ports import HostPorts
from reconciler.verbs.context import ServingDaemon
from reconciler.verbs.watch import Steered, loop_deps


async def run(
    app: ServingDaemon, listen: str, say: Callable[[str], None], steered: Steered
) -> None:
    """Serve until the watcher is told to leave; raise Misused, LockHeld or DurabilityError."""
    front = app.front(listen)

    def ports(slice_: Slice) -> HostPorts:
        return replace(app.ports(slice_), gate=front.doors.gate(slice_.host.name))

    with app.lock.held(obeys=True):
        async with front.opened() as address:
            say(f"requests are taken at http://{address}/v1")
            deps = loop_deps(app, say, ports, front.doors)
            watcher = Watcher(deps, app.edits, app.supervisor)
            async with steered(watcher):
                await watcher.run()
