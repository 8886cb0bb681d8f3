"""Measure a running watch: how soon an edit has an effect, the cost of rest and of a switch."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from reconciler.config.file_watch import STANDS_STILL_SECONDS
from tests.bench.serving import INSTALLED
from tests.repository import git, repository
from tests.stack import Stack, stack

EDITS = 20
REST_SECONDS = 300.0
TICKS = os.sysconf("SC_CLK_TCK")


def watching() -> Iterator[str]:
    """Measure edits by an editor and by git, then rest."""
    with tempfile.TemporaryDirectory() as name, stack(Path(name)) as here:
        repository(here.folder)
        git(here.folder, "branch", "-m", "first")
        git(here.folder, "checkout", "-qb", "other")
        here.desire("tiny-b")
        git(here.folder, "commit", "-qam", "Run the other model")
        with here.watching(words=("-c", INSTALLED)) as process:
            here.becomes("tiny-b")
            for how, edits in (("rename", _renames), ("git checkout", _checkouts)):
                waits = sorted(_waits(here, edits(here)))
                spread = f"{waits[0] * 1000:.0f} to {waits[-1] * 1000:.0f}, {len(waits)} edits"
                found = f"{statistics.median(waits) * 1000:.0f} ms ({spread})"
                yield (
                    f"| a saved pair that is stable -> first effect, by {how} | ≤ 100 ms |"
                    f" {found} |"
                )
            yield _rest(process.pid)


def _renames(here: Stack) -> Iterator[str]:
    for number in range(EDITS):
        active = ("tiny-a", "tiny-b")[number % 2]
        file = here.folder / "state" / "desired.yaml"
        beside = file.with_name(".desired.yaml.swp")
        beside.write_text(f"version: 1\npower: on\nactive: {active}\n")
        beside.replace(file)
        yield active
    git(here.folder, "checkout", "-qf", "other")


def _checkouts(here: Stack) -> Iterator[str]:
    for number in range(EDITS):
        git(here.folder, "checkout", "-q", ("first", "other")[number % 2])
        yield ("tiny-a", "tiny-b")[number % 2]


def _waits(here: Stack, edits: Iterator[str]) -> Iterator[float]:
    """Return how long each edit waited for its first effect, from when it was stable."""
    rows = here.rows()
    for active in edits:
        stable = (
            max(path.stat().st_ctime for path in (here.folder / "state").iterdir())
            + STANDS_STILL_SECONDS
        )
        here.becomes(active)
        yield here.first_intent(rows) - stable
        rows = here.rows()


def _rest(pid: int) -> str:
    before = _cpu_seconds(pid)
    time.sleep(REST_SECONDS)
    share = (_cpu_seconds(pid) - before) / REST_SECONDS
    status = Path(f"/proc/{pid}/status").read_text()
    resident = (
        next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        / 1024
    )
    return (
        f"| `watch` at rest for {REST_SECONDS:.0f} s | ≤ 60 MiB, ≤ 0.2 % of one core |"
        f" {resident:.0f} MiB, {share:.2%} |"
    )


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
