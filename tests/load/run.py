"""Run: one load from its beginning to its end."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from tests.load.crowd import Crowd
from tests.load.gateway import address, serve, serve_and_kill
from tests.load.history import switches as counted
from tests.load.ledger import Ledger
from tests.load.models import lay_out, recorded
from tests.load.onlooker import follow, look, look_on, read_on
from tests.stack import Stack

PATIENCE_SECONDS = 120
LEAST_KILLS = 3
DESIRED = f"""version: 1
active: tiny-a
allow: any
min_residency: 0s
max_wait: {PATIENCE_SECONDS}s
"""


async def run_load(
    here: Stack,
    models: Sequence[str],
    clients: int,
    switches: int,
    seed: int,
    killing: bool = False,
) -> Ledger:
    """Let clients ask for models while they switch so often; engines run on afterwards."""
    lay_out(here)
    here.desired(DESIRED)
    ledger = Ledger(seed, recorded(here), PATIENCE_SECONDS)

    def is_enough() -> bool:
        kills = LEAST_KILLS if killing else 0
        return counted(ledger.rows) >= switches and len(ledger.downs) >= kills

    over, done = anyio.Event(), anyio.Event()
    with address() as at:
        async with anyio.create_task_group() as served:
            await served.start(serve_and_kill if killing else serve, here, at, ledger, done)
            async with anyio.create_task_group() as beside:
                beside.start_soon(follow, here, ledger, is_enough, over)
                beside.start_soon(look_on, here, ledger)
                await Crowd(at, ledger, models, killing).ask(clients, over)
                beside.cancel_scope.cancel()
            done.set()
    await read_on(here, ledger)
    await look(here, ledger)
    return ledger
