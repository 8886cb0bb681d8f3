"""Signals: how a person or an init system ends what is under way, and has a watch look at everything."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from reconciler.verbs.result import INTERRUPTED, LEFT_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable

    from reconciler.loop.interrupt import Interrupt
    from reconciler.loop.watcher import Watcher

    Say = Callable[[str], None]


@asynccontextmanager
async def ending(interrupt: Interrupt, say: Say) -> AsyncIterator[None]:
    """End waits at the first signal that ends.

    Leave at once at the second, with the run open in the journal.
    """
    # Who started this under nohup wants it to outlive the terminal.
    hang_up = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, *hang_up) as signals:
        async with anyio.create_task_group() as group:
            group.start_soon(_end, signals, interrupt, say)
            yield
            group.cancel_scope.cancel()


async def _end(signals: AsyncIterable[signal.Signals], interrupt: Interrupt, say: Say) -> None:
    async for _ in signals:
        if interrupt.reason:
            _leave_at_once(say)
        interrupt.request("interrupted by a signal", "rollback")
        say("ending the wait, and rolling back if something was stopped; once more quits at once")


@asynccontextmanager
async def steering(watcher: Watcher, say: Say, ended: list[signal.Signals]) -> AsyncIterator[None]:
    """Have a watch leave at SIGTERM or SIGINT, at once at a second one, and look at everything at SIGHUP.

    `ended` takes the signal that it left for.
    """
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with anyio.create_task_group() as group:
            group.start_soon(_steer, signals, watcher, say, ended)
            yield
            group.cancel_scope.cancel()


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
            say("stopping after the current action; engines keep running; once more quits at once")
            watcher.leave()


def _leave_at_once(say: Say) -> None:
    """Let nothing hold this up: an effect in flight is observed by whoever comes next, as after kill -9."""
    say(f"reconciler: {LEFT_AT_ONCE}")
    os._exit(INTERRUPTED)
