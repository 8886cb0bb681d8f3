"""Watch: keep every host as the files say, until told to end."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio

from reconciler.loop.keeper import Means
from reconciler.loop.past import Past
from reconciler.loop.watcher import Watcher
from reconciler.verbs.given import Staying
from reconciler.verbs.outcome import Outcome

INTERRUPTED = 130
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(app: Staying, say: Callable[[str], None]) -> Outcome:
    """Watch until SIGTERM or SIGINT; SIGHUP looks at everything now. Raise LockHeld or DurabilityError."""
    with app.lock.held(obeys=True):
        ended = anyio.run(_watch, app, say)
    return Outcome({"version": 1, "ended": ended.name}, INTERRUPTED if ended == signal.SIGINT else 0)


async def _watch(app: Staying, say: Callable[[str], None]) -> signal.Signals:
    def tell(line: str) -> None:
        say(line)
        app.supervisor.status(line)

    watcher = Watcher(Means(app.ports, Past(app.journal), app.clock, app.random, app.claim, tell), app.edits, app.supervisor)
    async with anyio.create_task_group() as group:
        with anyio.open_signal_receiver(*SIGNALS) as signals:
            group.start_soon(watcher.run)
            async for number in signals:
                if number != signal.SIGHUP:
                    break
                tell("looking at everything again")
                watcher.look()
            tell("leaving; engines go on, what is under way ends first")
            watcher.leave()
    return signal.Signals(number)
