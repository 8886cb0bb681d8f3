"""Signals: they end what is under way, and have a watch look at everything."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from reconciler.verbs.result import INTERRUPTED, LEFT_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable

    from reconciler.loop.interrupt import Interrupt
    from reconciler.loop.watcher import Watcher

    Say = Callable[[str], None]


@asynccontextmanager
async def ending(interrupt: Interrupt, say: Say) -> AsyncIterator[None]:
    """End waits at the first signal, and at the second leave with the run open in the journal."""
    numbers = (signal.SIGINT, signal.SIGTERM, *_hang_up())
    async with _heeded(numbers, lambda signals: _end(signals, interrupt, say)):
        yield


@asynccontextmanager
async def _heeded(
    numbers: Iterable[signal.Signals],
    heed: Callable[[AsyncIterator[signal.Signals]], Coroutine[Any, Any, None]],
) -> AsyncIterator[None]:
    with anyio.open_signal_receiver(*numbers) as signals:
        async with anyio.create_task_group() as group:
            group.start_soon(heed, signals)
            yield
            group.cancel_scope.cancel()


def _hang_up() -> tuple[signal.Signals, ...]:
    # What was started under nohup should outlive the terminal.
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return () if ignored else (signal.SIGHUP,)


async def _end(signals: AsyncIterable[signal.Signals], interrupt: Interrupt, say: Say) -> None:
    async for _ in signals:
        if interrupt.reason:
            _leave_at_once(say)
        interrupt.request("interrupted by a signal", "rollback")
        say(
            "ending the wait, and rolling back if something was stopped; a second signal quits"
            " at once"
        )


@asynccontextmanager
async def steering(watcher: Watcher, say: Say, ended: list[signal.Signals]) -> AsyncIterator[None]:
    """Have a watch leave at SIGTERM or SIGINT, at once at the second, and look again at SIGHUP.

    `ended` takes the signal that it left for.
    """
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    async with _heeded(numbers, lambda signals: _steer(signals, watcher, say, ended)):
        yield


async def _steer(
    signals: AsyncIterable[signal.Signals], watcher: Watcher, say: Say, ended: list[signal.Signals]
) -> None:
    async for number in signals:
        if number == signal.SIGHUP:
            say("looking at everything again")
            watcher.look()
        elif ended:
            _leave_at_once(say)
        else:
            ended.append(number)
            say(
                "stopping after the current action; engines keep running; a second signal quits at"
                " once"
            )
            watcher.leave()


def _leave_at_once(say: Say) -> None:
    say(f"reconciler: {LEFT_AT_ONCE}")
    # Not sys.exit, which an effect in flight could hold up. The next command observes what became
    # of that, as after kill -9.
    os._exit(INTERRUPTED)
