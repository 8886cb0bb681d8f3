"""Of many hosts, only so many are connected to at once, and a silent one holds up no other."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import anyio
import pytest

from reconciler.edge.loop_scope import LoopScope
from reconciler.edge.ssh import MOST_AT_ONCE, Link, Program
from reconciler.edge.ssh_destination import Destination
from reconciler.edge.ssh_settings import CONNECT_SECONDS
from reconciler.errors import DriverError

if TYPE_CHECKING:
    from pathlib import Path

SSH = """\
#!/bin/sh
case "$*" in
  -G*) exit 1 ;;
  *silent*) exec sleep infinity ;;
esac
echo begun >>{log}
read -r program
echo made >>{log}
echo hello
cat >/dev/null
"""
"""Be an ssh that cannot say where it leads, and never gets to some hosts; others end when their
connection does."""

MANY = 4 * MOST_AT_ONCE
PROGRAM = Program("program", b"program\n", b"hello")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return what stands for ssh writes: when a connection is begun, and when it is made."""
    ssh, written = tmp_path / "ssh", tmp_path / "log"
    ssh.write_text(SSH.format(log=written))
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return written


def words(log: Path) -> list[str]:
    return log.read_text().split()


async def reached(name: str, loop: LoopScope) -> None:
    """Ask a host that never answers a question; it was reached before."""
    with pytest.raises(DriverError, match="did not answer"):
        await Link(Destination(name, name), PROGRAM, loop).exchange({}, 0.01)


async def test_many_hosts_are_reached_a_few_at_a_time(log: Path) -> None:
    async with LoopScope() as loop, anyio.create_task_group() as group:
        for number in range(MANY):
            group.start_soon(reached, f"host{number}", loop)
    told = words(log)
    being_made = list(accumulate(1 if word == "begun" else -1 for word in told))
    assert told.count("made") == MANY
    assert 1 < max(being_made) <= MOST_AT_ONCE


async def test_hosts_that_are_silent_behind_others_hold_up_no_host_for_long(log: Path) -> None:
    async with LoopScope() as loop, anyio.create_task_group() as group:
        for number in range(MOST_AT_ONCE):
            group.start_soon(
                Link(Destination(f"silent{number}", f"silent{number}"), PROGRAM, loop).exchange,
                {},
                0.01,
            )
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(CONNECT_SECONDS / 2):
            await reached("host", loop)
        group.cancel_scope.cancel()
    assert words(log) == ["begun", "made"]
