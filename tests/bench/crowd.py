"""Measure a pass with nothing to do over many hosts that are not there."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Iterator
from functools import partial

import anyio

from reconciler.cli.main import OBJECTS_PER_COLLECTION
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.journal import MemoryJournal
from reconciler.fakes.life import Life
from reconciler.fakes.ports import ports
from reconciler.fakes.world import World
from reconciler.loop.executor import Interrupt
from reconciler.loop.lasting import Lasting
from reconciler.loop.past import Past
from reconciler.loop.reconcile import Actor, Wish, reconcile
from reconciler.model.spec import Slice
from tests.crash.stage import want
from tests.worlds import ME, PROVENANCE, raised

DEAD_ONE_IN = 20


def hosts(number: int) -> Iterator[str]:
    """Measure so many hosts, and a quarter of them."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    few, many = _seconds(number // 4), _seconds(number)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = f"{many:.2f} s; {many / few:.1f} times as long as {number // 4}; at most {memory:.0f} MiB, the fakes with it"
    yield f"| no-op pass over {number} fake hosts, 5 % dead | ≤ 2 s, linear, ≤ 150 MiB | {found} |"


def _seconds(number: int) -> float:
    clock = TurnedClock()
    past = Past(MemoryJournal(clock))
    crowd = [(World(clock), _slice(f"host-{one}")) for one in range(number)]
    clock.run(_pass, crowd, past, clock)
    for world, _ in crowd[::DEAD_ONE_IN]:
        world.power = "off"
    began = time.perf_counter()
    clock.run(_pass, crowd, past, clock)
    return time.perf_counter() - began


def _slice(name: str) -> Slice:
    slice_ = want("a")
    return slice_.model_copy(update={"host": slice_.host.model_copy(update={"name": name})})


async def _pass(crowd: list[tuple[World, Slice]], past: Past, clock: TurnedClock) -> None:
    async with anyio.create_task_group() as group:
        for world, slice_ in crowd:
            actor = Actor(Lasting(partial(ports, world, life=Life())), past, clock, ME, Interrupt(), lambda _: None, raised)
            group.start_soon(reconcile, Wish(slice_, PROVENANCE, "bench"), actor)
