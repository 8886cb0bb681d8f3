"""Gateway: a `serve` at one address, which may be killed and started again there."""

from __future__ import annotations

import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from anyio.abc import TaskStatus

from tests.load.ledger import Down, Ledger, now
from tests.stack import COMMAND_SECONDS, Stack

SOONEST_KILL, LATEST_KILL = 2.0, 4.0
POLL_SECONDS = 0.02
BACKLOG = 512


@contextmanager
def address() -> Iterator[str]:
    """An address that stays ours while nobody listens at it."""
    # A socket that is bound and does not listen keeps the port from clients, of which one might
    # otherwise be given it, and then meet itself there.
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


async def serve(
    here: Stack, at: str, _: Ledger, done: anyio.Event, *, task_status: TaskStatus[None]
) -> None:
    """Run `serve` until the event; it has started when requests are taken."""
    with here.watching("--listen", at, verb="serve") as process:
        await _taking(here, process)
        task_status.started()
        await done.wait()


async def serve_and_kill(
    here: Stack, at: str, ledger: Ledger, done: anyio.Event, *, task_status: TaskStatus[None]
) -> None:
    """Run `serve` until the event, and kill it again and again before that.

    Its socket outlives it: who connects while it is down waits, and is not refused.
    """
    host, port = at.split(":")
    chance = random.Random(ledger.seed)  # noqa: S311 - to be repeated
    killed: tuple[float, float] | None = None
    with socket.create_server((host, int(port)), backlog=BACKLOG) as held:
        while not done.is_set():
            with here.watching(code=None, verb="serve", held=held.fileno()) as process:
                await _taking(here, process)
                if killed is None:
                    task_status.started()
                else:
                    ledger.downs.append(Down(*killed, now()))
                with anyio.move_on_after(chance.uniform(SOONEST_KILL, LATEST_KILL)):
                    await done.wait()
                    return
                since = now()
                process.kill()
            killed = since, now()


async def _taking(here: Stack, process: subprocess.Popen[bytes]) -> None:
    """Wait until requests are taken."""
    with anyio.fail_after(COMMAND_SECONDS):
        while "requests are taken" not in here.watched():
            assert process.poll() is None, here.watched()
            await anyio.sleep(POLL_SECONDS)
