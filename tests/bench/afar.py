"""Measure a look at a host over ssh, against what is only a round trip over the same connection."""

from __future__ import annotations

import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import anyio

from reconciler.app import App, build
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.observer import Observer
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.reconcile import reconcile
from reconciler.model.onhost.host import AskContact
from reconciler.model.target import Wanted
from reconciler.onhost import procfs
from reconciler.settings import Settings
from tests import sshd
from tests.engine import free_port
from tests.sample_worlds import raised

ROUNDS = 60
ONE_WAY_SECONDS = 0.01


def looking() -> Iterator[str]:
    """Measure a host that serves a model, and its bare round trip, here and over 20 ms of line."""
    for way, seconds in (("", 0.0), (f", {2000 * ONE_WAY_SECONDS:.0f} ms away,", ONE_WAY_SECONDS)):
        took = _look(seconds)
        for what, goal, bare in (
            ("a bare round trip", "≤ 3", took.question),
            ("`ssh HOST true`", "own line", took.true),
        ):
            ratio = f"{took.look / bare:.2g} ({took.look * 1000:.1f} ms ÷ {bare * 1000:.1f} ms)"
            yield f"| one ssh host{way} observed, ÷ {what} over its connection | {goal} | {ratio} |"


class Took(NamedTuple):
    """The seconds of a look, of our emptiest question, and of an ssh command that does nothing."""

    look: float
    question: float
    true: float


def _look(seconds: float) -> Took:
    """How long a look and a round trip take to a host that is so many seconds away, each way."""
    with tempfile.TemporaryDirectory() as name, sshd.running() as served:
        if seconds:
            served.move_away(seconds)
        folder = Path(name)
        access = json.dumps({"kind": "ssh", **served.options(folder / "host")})
        tiny = f"{{engine: {{kind: embedded, seed: 1}}, port: {free_port()}, stable_for: 0s}}"
        (folder / "inventory.yaml").write_text(
            f"version: 1\nhosts: {{box: {{access: {access}}}}}\nmodels:\n  tiny: {tiny}\n"
        )
        (folder / "desired.yaml").write_text("version: 1\nactive: tiny\n")
        app = build(Settings(folder, folder / "data", folder / "here"))
        return app.run(_measured, app, app.source.read())


async def _measured(app: App, wanted: Wanted) -> Took:
    slice_ = wanted.slices["box"]
    ports = app.ports(slice_)
    context = HostContext(
        PortsCache(app.ports),
        HintsCache(app.journal),
        app.clock,
        app.controller,
        Interrupt(),
        lambda _: None,
        raised,
    )
    await reconcile(PassRequest(slice_, wanted.provenance, "bench"), context)
    observer = Observer(ports, slice_, app.clock)
    true = ("ssh", "-F", "none", "-S", _control_path(), "127.0.0.1", "true")
    rounds = [
        Took(
            await _seconds(lambda: observer.for_planning(["tiny"])),
            await _seconds(lambda: ports.access.ask([AskContact()])),
            await _seconds(lambda: anyio.run_process(true)),
        )
        for _ in range(ROUNDS)
    ]
    empty = slice_.model_copy(update={"active": ()})
    await reconcile(PassRequest(empty, wanted.provenance, "bench"), context)
    return Took(*(statistics.median(part) for part in zip(*rounds, strict=True)))


def _control_path() -> str:
    """Return the control socket of the connection that this process keeps open."""
    lines = (procfs.read(f"/proc/{pid}/cmdline") for pid in procfs.offspring(os.getpid()))
    return next(
        found[1].decode() for line in lines if (found := re.search(rb"ControlPath=([^\0]+)", line))
    )


async def _seconds(act: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await act()
    return time.perf_counter() - began
