"""Measure how a host of the rig wakes, from the magic packet to a conversation, and by hand."""

from __future__ import annotations

import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.rigs import byhand
from tests.rigs.hostrig.client import Rig, plugged
from tests.sleeping_stack import HOST, SleepingStack

ROUNDS = 5
PARTS = ("wake", "start", "await_healthy", "restore_slots")


def waking() -> Iterator[str]:
    """Wake a host in turn with the command line and by hand."""
    with tempfile.TemporaryDirectory() as name, plugged(Path(name) / "rig", (HOST,)) as rig:
        home = SleepingStack(Path(name) / "home", rig)
        home.desire("on")
        home.apply()
        home.converse()
        engine, file = _engine(home), ""
        ours: list[dict[str, float]] = []
        bare: list[dict[str, float]] = []
        for _ in range(ROUNDS):
            _sleep(home)
            home.desire("on")
            home.apply()
            ours.append(_parts(home))
            file = _newest(home)
            _sleep(home)
            bare.append(_by_hand(home, rig, {**engine, "file": file}))
            rig.ssh(HOST, "systemctl poweroff")
            rig.wait(HOST, "off")
        yield from _rows(rig.mode, ours, bare)


def _rows(mode: str, ours: list[dict[str, float]], bare: list[dict[str, float]]) -> Iterator[str]:
    share = statistics.median(
        sum(mine.values()) - sum(other.values()) for mine, other in zip(ours, bare, strict=True)
    )
    yield (
        f"| magic packet -> conversation restored ({mode} host), minus the same by hand | ≤ +0.3 s"
        f" | {share:+.2f} s |"
    )
    for who, rounds in (("with reconciler", ours), ("by hand", bare)):
        parts = ", ".join(
            f"{part} {statistics.median(one[part] for one in rounds):.2f} s" for part in rounds[0]
        )
        yield f"| of it, {who} | own line | {parts} |"


def _sleep(home: SleepingStack) -> None:
    home.desire("off")
    home.apply()


def _by_hand(home: SleepingStack, rig: Rig, engine: dict[str, Any]) -> dict[str, float]:
    at = rig.host(HOST)
    wish = {
        "mac": at.mac, "broadcast": at.wol_broadcast, "wol_port": at.wol_port, "ip": at.ip,
        "ssh_port": at.ssh_port, "config": str(rig.ssh_config), "host": HOST, "engine": engine,
    }  # fmt: skip
    words = [*rig.prefix, sys.executable, byhand.__file__, json.dumps(wish)]
    parts: dict[str, float] = json.loads(
        subprocess.run(words, check=True, capture_output=True, cwd=home.folder).stdout
    )
    return parts


def _engine(home: SleepingStack) -> dict[str, Any]:
    """Return how the engine that runs on the host was started."""
    look = (
        "for p in /proc/[0-9]*; do grep -qa RECONCILER_MARK $p/environ 2>/dev/null && readlink"
        " $p/cwd && cat $p/cmdline; done"
    )
    cwd, _, words = home.rig.ssh(HOST, look).stdout.partition("\n")
    return {"cwd": cwd, "argv": words.rstrip("\0").split("\0"), "port": home.port}


def _newest(home: SleepingStack) -> str:
    """Return the slot file that was saved last."""
    done = home.rig.ssh(HOST, f"ls -t {home.directory}/models/tiny/slots | grep -v json | head -1")
    return done.stdout.strip()


def _parts(home: SleepingStack) -> dict[str, float]:
    """The seconds of each part of the newest run, from an intent to what its step brought about."""
    file = home.folder / "data" / "journal" / "journal.sqlite"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as journal:
        rows = journal.execute(
            "SELECT kind, body ->> '$.step', at FROM record WHERE kind LIKE 'step-%' "
            "AND seq > (SELECT max(seq) FROM record WHERE kind = 'run-opened') ORDER BY seq"
        ).fetchall()
    before = next(at for kind, step, at in rows if (kind, step) == ("step-intent", "wake"))
    took: dict[str, float] = {}
    for kind, step, at in rows:
        if kind == "step-done" and step in PARTS:
            took[step], before = at - before, at
    return took
