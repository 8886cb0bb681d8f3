"""Measure a look at a host over ssh, against one bare round trip over the same connection."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from reconciler.app import App, build
from reconciler.loop.executor import Interrupt
from reconciler.loop.observer import Observer
from reconciler.loop.past import Past
from reconciler.loop.reconcile import Actor, Wish, reconcile
from reconciler.model.onhost import AskContact
from reconciler.model.target import Wanted
from reconciler.settings import Settings
from tests import sshd
from tests.engine import free_port

ROUNDS = 60
ONE_WAY_SECONDS = 0.01


def looking() -> Iterator[str]:
    """Measure a host that serves one model, and its bare round trip: on this machine, and over a line of 20 ms."""
    for way, seconds in (("", 0.0), (f", {2000 * ONE_WAY_SECONDS:.0f} ms away,", ONE_WAY_SECONDS)):
        bare, whole = _look(seconds)
        ratio = f"{whole / bare:.1f} ({whole * 1000:.1f} ms ÷ {bare * 1000:.1f} ms)"
        yield f"| one ssh host{way} observed, ÷ a bare round trip over its connection | ≤ 3 | {ratio} |"


def _look(seconds: float) -> tuple[float, float]:
    """Return how long a bare round trip takes and how long a look, to a host that is so many seconds away, each way."""
    with tempfile.TemporaryDirectory() as name, sshd.running() as served:
        if seconds:
            served.move_away(seconds)
        folder = Path(name)
        access = json.dumps({"kind": "ssh", **served.options(folder / "host")})
        tiny = f"{{engine: {{kind: embedded, seed: 1}}, port: {free_port()}, stable_for: 0s}}"
        (folder / "inventory.yaml").write_text(f"version: 1\nhosts: {{box: {{access: {access}}}}}\nmodels:\n  tiny: {tiny}\n")
        (folder / "desired.yaml").write_text("version: 1\nactive: tiny\n")
        app = build(Settings(folder, folder / "data", folder / "here"))
        return app.run(_measured, app, app.source.read())


async def _measured(app: App, wanted: Wanted) -> tuple[float, float]:
    slice_ = wanted.slices["box"]
    ports = app.ports(slice_)
    actor = Actor(ports, Past(app.journal), app.clock, app.claim, Interrupt(), lambda _: None)
    await reconcile(Wish(slice_, wanted.provenance, "bench"), actor)
    observer = Observer(ports, slice_, app.clock)
    pairs = []
    for _ in range(ROUNDS):
        bare = await _seconds(lambda: ports.access.ask([AskContact()]))
        pairs.append((bare, await _seconds(lambda: observer.what_matters(["tiny"]))))
    empty = slice_.model_copy(update={"active": ()})
    await reconcile(Wish(empty, wanted.provenance, "bench"), actor)
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


async def _seconds(act: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await act()
    return time.perf_counter() - began
