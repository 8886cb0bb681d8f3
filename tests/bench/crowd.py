"""Measure a pass with nothing to do over many hosts that are not there."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import anyio

from reconciler.cli.loading import loading
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.journal import MemoryJournal
from reconciler.fakes.life import Life, MortalJournal
from reconciler.fakes.ports import ports
from reconciler.fakes.world import World
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.reconcile import reconcile
from reconciler.model.spec import Slice
from tests.crash.stage import want
from tests.sample_worlds import ME, PROVENANCE, raised

DEAD_ONE_IN = 20
PASSES = 7
"""A collection of garbage takes a fifth of a pass, and falls into some of them."""


def hosts(number: int) -> Iterator[str]:
    """Measure so many hosts, and a quarter of them."""
    with loading():
        pass  # What a program has loaded when it begins to look, this one has too.
    few, many = _seconds(number // 4), _seconds(number)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = (
        f"{many:.2f} s; {many / few:.1f} times as long as {number // 4}; at most {memory:.0f} MiB,"
        " the fakes with it"
    )
    yield f"| no-op pass over {number} fake hosts, 5 % dead | ≤ 2 s, linear, ≤ 150 MiB | {found} |"


def _seconds(number: int) -> float:
    clock = TurnedClock()
    cache = HintsCache(MortalJournal(MemoryJournal(clock), Life()))
    crowd = [(World(clock), _slice(f"host-{one}")) for one in range(number)]
    clock.run(_pass, crowd, cache, clock)
    for world, _ in crowd[::DEAD_ONE_IN]:
        world.power = "off"
    return statistics.median(
        _took(partial(clock.run, _pass, crowd, cache, clock)) for _ in range(PASSES)
    )


def _took(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _slice(name: str) -> Slice:
    slice_ = want("a")
    return slice_.model_copy(update={"host": slice_.host.model_copy(update={"name": name})})


async def _pass(crowd: list[tuple[World, Slice]], cache: HintsCache, clock: TurnedClock) -> None:
    async with anyio.create_task_group() as group:
        for world, slice_ in crowd:
            context = HostContext(
                PortsCache(partial(ports, world, life=Life())),
                cache,
                clock,
                ME,
                Interrupt(),
                lambda _: None,
                raised,
            )
            group.start_soon(reconcile, PassRequest(slice_, PROVENANCE, "bench"), context)
