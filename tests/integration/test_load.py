"""Many clients ask through `serve` while models switch: each gets one answer, and the right one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.engine import SERVERS
from tests.load.checker import faults
from tests.load.history import switches
from tests.load.models import MODELS
from tests.load.run import run_load
from tests.load.summary import summary
from tests.stack import stack

SEED = int(os.environ.get("LOAD_SEED") or 1)
"""`make load` draws one for each load."""

CLIENTS = 12
# Of those that are here, the one that starts faster.
SERVER = SERVERS[-1]


async def loaded(folder: Path, times: int, *, killing: bool = False) -> None:
    sys.stdout.write(f"LOAD_SEED={SEED}\n")
    with stack(folder, SERVER) as here:
        ledger = await run_load(here, list(MODELS), CLIENTS, times, SEED, killing)
        assert len(here.engines()) == 1
    sys.stdout.write(f"{summary(ledger)}\n")
    found = faults(ledger)
    assert not found, "\n".join(found)
    assert switches(ledger.rows) >= times


async def test_each_request_is_answered_once_while_models_switch(tmp_path: Path) -> None:
    await loaded(tmp_path, 20)


async def test_kill_9_of_serve_costs_no_more_than_asking_again(tmp_path: Path) -> None:
    await loaded(tmp_path, 6, killing=True)
