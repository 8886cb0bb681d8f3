"""Measure what large bodies leave in the memory of `serve`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from reconciler.gateway.clients import SWEEP_SECONDS
from tests import compiled
from tests.bench.serving import CHAT, INSTALLED, Serving, ask, out_of, serving

CLIENTS, EACH = 8, 100
SIZE = 240 * 1000
BODY = json.dumps({"messages": [{"role": "user", "content": "x" * SIZE}], "model": "a"})


def bodies() -> Iterator[str]:
    """Send them to what is compiled, and to what is not."""
    with compiled.package() as package:
        yield from _rows("", out_of(package))
    yield from _rows(", not compiled", INSTALLED)


def _rows(which: str, program: str) -> Iterator[str]:
    """Send them by several clients at once, and look at the memory before and after."""
    with serving(program) as served:
        before = served.process.memory.resident
        cpu = served.process.cpu()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(_asks, [served] * CLIENTS))
        used = (served.process.cpu() - cpu) / CLIENTS / EACH
        time.sleep(2 * SWEEP_SECONDS)
        after = served.process.memory
    yield (
        f"| memory of `serve`{which} after 240 KB bodies, 8 at once | ≤ 60 MB, ≤ +15 MiB |"
        f" {after}; {after.resident - before:+.0f} MiB |"
    )
    yield f"| CPU of `serve`{which} per body of 240 KB | own line | {used * 1e6:.0f} µs |"


def _asks(served: Serving) -> None:
    for _ in range(EACH):
        ask(served.port, CHAT, BODY)
