"""Serve: watch, and carry requests to the models that serve, at one address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reconciler.loop.watcher import Watcher
from reconciler.model.spec import Slice
from reconciler.ports import Front, HostPorts
from reconciler.verbs.context import Daemon
from reconciler.verbs.watch import Steered, loop_deps


async def run(app: Daemon, front: Front, say: Callable[[str], None], steered: Steered) -> None:
    """Serve until the watcher is told to leave; raise Misused, LockHeld or DurabilityError."""

    def ports(slice_: Slice) -> HostPorts:
        return replace(app.ports(slice_), gate=front.doors.gate(slice_.host.name))

    with app.lock.held(obeys=True):
        watcher = Watcher(loop_deps(app, say, ports, front.doors), app.edits, app.supervisor)
        # A second signal counts also while requests are given time to end.
        async with steered(watcher), front.opened() as addresses:
            at = ", ".join(f"http://{address}/v1" for address in addresses)
            say(f"requests are taken at {at}")
            await watcher.run()
