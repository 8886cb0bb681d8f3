"""Measure small requests through `serve`, straight to the engine, and through a proxy in Go."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests import compiled
from tests.bench.go_proxy import proxy
from tests.bench.serving import CHAT, SMALL, WITHOUT_FAST, Process, out_of, serving

WRK = shutil.which("wrk")
ROUNDS = 3
SECONDS = 2
GATEWAY, FAST, PLAIN, DIRECT, GO = "gateway", "fast", "plain", "direct", "go"
GOALS = {1: 4 / 2.3, 64: 5 / 2.4}
"""Requests a second ÷ those of the proxy in Go: 4 and 5 times those of llama-swap, of which that
proxy answers 2.3 times as many over 1 connection (2.1 to 2.4) and 2.4 over 64 (2.2 to 2.6)."""

Targets: TypeAlias = dict[str, tuple[int, Process | None]]
"""Where to ask, by name, and whose time on a core counts there."""

LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = {body}
"""


class Load(NamedTuple):
    """What a load of some seconds found."""

    rate: float
    cpu: float


def small() -> Iterator[str]:
    """Ask over 1 and over 64 connections, in turn."""
    if WRK is None:
        yield "| small requests through `serve` | - | not measured: `apt-get install wrk` |"
        return
    with (
        compiled.package() as package,
        serving(out_of(package)) as served,
        serving() as fast,
        serving(WITHOUT_FAST) as plain,
        proxy(served.engine) as go,
        tempfile.TemporaryDirectory() as name,
    ):
        targets: Targets = {
            DIRECT: (served.engine, None),
            GATEWAY: (served.port, served.process),
            FAST: (fast.port, fast.process),
            PLAIN: (plain.port, plain.process),
        }
        targets |= {GO: go} if go else {}
        script = Path(name) / "post.lua"
        script.write_text(LUA.format(body=json.dumps(SMALL)))
        for connections, goal in GOALS.items():
            yield from _rows(connections, goal, _rounds(targets, script, connections))


def _rounds(targets: Targets, script: Path, connections: int) -> Mapping[str, list[Load]]:
    found: dict[str, list[Load]] = {name: [] for name in targets}
    for number in range(ROUNDS):
        for name in sorted(targets, reverse=bool(number % 2)):
            found[name].append(_load(*targets[name], script, connections))
    return found


def _load(port: int, process: Process | None, script: Path, connections: int) -> Load:
    assert WRK is not None
    before = process.cpu() if process else 0.0
    said = subprocess.run(
        [WRK, "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", script,
         f"http://127.0.0.1:{port}{CHAT}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    used = process.cpu() - before if process else 0.0
    assert "Non-2xx" not in said, said
    assert "Socket errors" not in said, said
    count = int(_found(r"(\d+) requests in", said))
    return Load(float(_found(r"Requests/sec:\s+([\d.]+)", said)), used / count)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def _rows(connections: int, goal: float, found: Mapping[str, list[Load]]) -> Iterator[str]:
    over = f"over {connections} connection{'s' if connections > 1 else ''}"
    cpu = {name: statistics.median(one.cpu for one in loads) for name, loads in found.items()}
    rate = {name: statistics.median(one.rate for one in loads) for name, loads in found.items()}
    compared = f", Go's proxy {cpu[GO] * 1e6:.0f} µs" if GO in found else ""
    others = f"not compiled {cpu[FAST] * 1e6:.0f}, without `fast` {cpu[PLAIN] * 1e6:.0f} µs"
    yield (
        f"| CPU of `serve` per small request, {over} | ≤ 60 µs |"
        f" {cpu[GATEWAY] * 1e6:.0f} µs ({others}{compared}) |"
    )
    ours = f"{rate[GATEWAY]:.0f}/s"
    yield (
        f"| small requests a second {over} ÷ straight to the engine | own line |"
        f" {rate[GATEWAY] / rate[DIRECT]:.2f} ({ours} ÷ {rate[DIRECT]:.0f}/s) |"
    )
    what = f"| small requests a second {over} ÷ Go's own proxy | ≥ {goal:.1f} |"
    if GO in found:
        others = f"{rate[FAST] / rate[GO]:.2f} not compiled"
        yield f"{what} {rate[GATEWAY] / rate[GO]:.2f} ({ours} ÷ {rate[GO]:.0f}/s; {others}) |"
    else:
        yield f"{what} not measured: no `go` here |"
