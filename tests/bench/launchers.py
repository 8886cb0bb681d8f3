"""How long a switch takes under each kind of launcher, beside what its keeper takes by itself."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from reconciler.drivers.engines import embedded
from tests.bench.by_hand import ask, until_healthy
from tests.bench.two_models import ROUNDS, Bench, answered, stack
from tests.dockers import dockerd
from tests.engine import free_port

CONTEXT = 1024
GRACE_SECONDS = 8


class Keeper(NamedTuple):
    """What keeps units by their names; `launcher` is what the inventory says of one."""

    launcher: Callable[[str], str]
    make: Callable[[str, tuple[str, ...], Path], object]
    start: Callable[[str], object]
    stop: Callable[[str], object]


@contextmanager
def containers() -> Iterator[Keeper]:
    with dockerd() as engine:
        place = f"socket: {engine.socket}"
        yield Keeper(
            launcher=lambda name: f"{{kind: docker, container: its-{name}, {place}}}",
            make=engine.create,
            start=lambda name: engine.ask("POST", f"/containers/{name}/start"),
            stop=lambda name: engine.ask("POST", f"/containers/{name}/stop?t={GRACE_SECONDS}"),
        )


KEEPERS: dict[str, tuple[Callable[[], AbstractContextManager[Keeper]], str]] = {
    "containers of Docker that exist": (containers, "≤ +100 ms"),
}


def launchers() -> Iterator[str]:
    for what, (kept, goal) in KEEPERS.items():
        with kept() as keeper, stack(64, 2, CONTEXT, keeper.launcher) as bench:
            between = _compared(bench, keeper)
        yield f"| switch of {what}, minus a bare stop and start | {goal} | {between} |"


def _compared(bench: Bench, keeper: Keeper) -> str:
    """Switch by the program and by hand in turn, each between two units of its own."""
    port = free_port()
    (bench.folder / "slots").mkdir()
    for name in "ab":
        keeper.make(f"its-{name}", _argv(bench, name, bench.port), bench.folder)
        keeper.make(f"bare-{name}", _argv(bench, name, port), bench.folder)
    bench.switch("a")
    keeper.start("bare-a")
    ours, bare = [], []
    for number in range(2 * ROUNDS):
        old, new = ("ab", "ba")[number % 2]
        began = bench.switch(new)
        ours.append(answered(bench.app) - began)
        bare.append(_by_hand(keeper, f"bare-{old}", f"bare-{new}", port))
    keeper.stop("bare-a")
    between = statistics.median(mine - other for mine, other in zip(ours, bare, strict=True))
    medians = f"{statistics.median(ours) * 1000:.0f} - {statistics.median(bare) * 1000:.0f}"
    return f"{between * 1000:+.0f} ms (medians {medians})"


def _argv(bench: Bench, name: str, port: int) -> tuple[str, ...]:
    (weights,) = (bench.folder / name).glob("*.gguf")
    options = embedded.Options(weights=str(weights), context=CONTEXT)
    return embedded.command(options, name, port).argv


def _by_hand(keeper: Keeper, old: str, new: str, port: int) -> float:
    """Return the seconds of a stop, a start, a wait for health, and one token."""
    began = time.perf_counter()
    keeper.stop(old)
    keeper.start(new)
    until_healthy(port)
    ask(port, 4)
    return time.perf_counter() - began
