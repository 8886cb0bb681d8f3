"""Put `serve` under load for as many switches as are asked for, on each server that is here."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

import anyio

from tests.engine import SERVERS, Server
from tests.load.checker import faults
from tests.load.history import switches as counted
from tests.load.models import MODELS
from tests.load.run import run_load
from tests.load.summary import summary
from tests.stack import stack

KILLING_SHARE = 4
"""One of so many switches comes again in a load in which `serve` is killed."""


def load(server: Server, asked: argparse.Namespace, *, killing: bool) -> bool:
    """Run one load, and tell how it went; true where nothing is wrong."""
    switches = max(1, asked.switches // KILLING_SHARE) if killing else asked.switches
    with tempfile.TemporaryDirectory() as folder, stack(Path(folder), server) as here:
        ledger = anyio.run(
            run_load, here, list(MODELS), asked.clients, switches, asked.seed, killing
        )
    missing = switches - counted(ledger.rows)
    found = [*faults(ledger), *([f"{missing} switches are missing"] if missing > 0 else [])]
    lines = (f"{server}{', killed' if killing else ''}: {summary(ledger)}", *found)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
    return not found


def main() -> int:
    """Run the loads that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.load")
    parser.add_argument("--switches", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))  # noqa: S311
    asked = parser.parse_args()
    loads = [(server, killing) for server in SERVERS for killing in (False, True)]
    went_well = [load(server, asked, killing=killing) for server, killing in loads]
    return not all(went_well)


if __name__ == "__main__":
    raise SystemExit(main())
