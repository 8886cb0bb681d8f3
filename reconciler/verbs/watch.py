"""Watch: keep every host as the files say, until told to end."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterable, Callable

import anyio

from reconciler.loop.keeper import Means
from reconciler.loop.past import Past
from reconciler.loop.watcher import Watcher
from reconciler.verbs.given import Staying
from reconciler.verbs.outcome import INTERRUPTED, LEFT_AT_ONCE, OK, Outcome

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


async def run(app: Staying, say: Callable[[str], None]) -> Outcome:
    """Watch until SIGTERM or SIGINT, of which a second one leaves at once; SIGHUP looks at everything now.

    Raise LockHeld or DurabilityError.
    """
    with app.lock.held(obeys=True):
        ended = await _watch(app, say)
    return Outcome({"version": 1, "ended": ended.name}, INTERRUPTED if ended == signal.SIGINT else OK)


async def _watch(app: Staying, say: Callable[[str], None]) -> signal.Signals:
    def tell(line: str) -> None:
        say(line)
        app.supervisor.status(line)

    watcher = Watcher(
        Means(app.ports, Past(app.journal), app.clock, app.random, app.controller, tell, app.edits.look, app.keep),
        app.edits,
        app.supervisor,
    )
    ended: list[signal.Signals] = []
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        async with anyio.create_task_group() as group:
            group.start_soon(_obey, signals, watcher, ended, tell)
            await watcher.run()
            group.cancel_scope.cancel()
    return ended[0]


async def _obey(
    signals: AsyncIterable[signal.Signals], watcher: Watcher, ended: list[signal.Signals], say: Callable[[str], None]
) -> None:
    """Pass on what signals ask for, until cancelled; `ended` takes the one that ends the watch."""
    async for number in signals:
        if number == signal.SIGHUP:
            say("looking at everything again")
            watcher.look()
        elif ended:
            # Nothing may hold this up: an effect in flight is observed by whoever comes next, as after kill -9.
            say(f"reconciler: {LEFT_AT_ONCE}")
            os._exit(INTERRUPTED)
        else:
            ended.append(number)
            say("leaving; engines go on, what is under way ends first; once more leaves at once")
            watcher.leave()
