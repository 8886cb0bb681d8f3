"""Two models of one place, and the app over them, as a watch has it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from anyio.from_thread import BlockingPortal, start_blocking_portal

from reconciler.app import App, build
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.reconcile import reconcile
from reconciler.model.records import StepDone
from reconciler.settings import Settings
from tests.engine import free_port, weights_in
from tests.sample_worlds import raised

ROUNDS = 7


class Bench(NamedTuple):
    """A folder with two models and the app over it; loop and cache stay, as those of `watch` do."""

    folder: Path
    app: App
    port: int
    loop: BlockingPortal
    cache: HintsCache

    def switch(self, active: str) -> float:
        """Carry out a wish; return when that began, in wall clock seconds."""
        (self.folder / "desired.yaml").write_text(f"version: 1\nactive: {active}\n")
        wanted = self.app.source.read()
        slice_ = wanted.slices["local"]
        context = HostContext(
            PortsCache(self.app.ports),
            self.cache,
            self.app.clock,
            self.app.controller,
            Interrupt(),
            lambda _: None,
            raised,
        )
        wish = PassRequest(slice_, wanted.provenance, "bench")
        # A host loop that rests has read what the run before has left.
        self.loop.call(self.cache.hints, "local")
        began = self.app.clock.wall()
        self.loop.call(reconcile, wish, context)
        return began


def of_processes(_: str) -> str:
    return "process"


@contextmanager
def stack(
    width: int, layers: int, context: int, launcher: Callable[[str], str] = of_processes
) -> Iterator[Bench]:
    """Give two models of one size, and the app over them; stop everything afterwards.

    `launcher` is what the inventory says of that of each.
    """
    with tempfile.TemporaryDirectory() as name, start_blocking_portal() as loop:
        folder = Path(name)
        port = free_port()
        models = []
        for model, seed in (("a", 1), ("b", 2)):
            (folder / model).mkdir()
            weights = weights_in(folder / model, seed=seed, width=width, layers=layers)
            engine = f"{{kind: embedded, weights: {weights}, context: {context}}}"
            kept = f"launcher: {launcher(model)}, port: {port}, stable_for: 0s"
            models.append(f"  {model}: {{engine: {engine}, {kept}}}\n")
        (folder / "inventory.yaml").write_text("version: 1\nmodels:\n" + "".join(models))
        app = build(Settings(folder, folder / "data", folder / "host"))
        bench = Bench(folder, app, port, loop, HintsCache(app.journal))
        try:
            yield bench
        finally:
            bench.switch("[]")


def answered(app: App) -> float:
    """When the model of the last switch gave its first answer, in wall clock seconds."""
    return max(
        row.at
        for row in app.run(app.journal.since, 0)
        if isinstance(row.record, StepDone) and row.record.step == "await_healthy"
    )
