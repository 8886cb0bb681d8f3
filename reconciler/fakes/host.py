"""The way from a controller to a world: what it cannot see, and what comes of what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.lowlevel

from reconciler.errors import DriverError
from reconciler.fakes.life import Life
from reconciler.fakes.world import Fault, World
from reconciler.model.facts import Fact, Known, Unknown

T = TypeVar("T")


@dataclass(frozen=True)
class FakeHost:
    """The way to a world in one life of the controller."""

    world: World
    life: Life

    async def see(self, name: str, look: Callable[[], T]) -> Fact[T]:
        """Look, unless the host is not on, or the world hides what goes by this name."""
        self.life.cross(name)
        await anyio.lowlevel.checkpoint()
        if name in self.world.unseen:
            return Unknown(self.world.unseen[name])
        if not self.world.answers:
            return Unknown("the host does not answer")
        try:
            return Known(look())
        except DriverError as error:
            return Unknown(error.message)

    async def act(self, name: str, effect: Callable[[], None]) -> None:
        """Let an effect happen as the world's faults have it; raise DriverError."""
        self.life.acting(name)
        await anyio.lowlevel.checkpoint()
        _ = self.world.now
        fault = self.world.faults.get(name)
        await _stop(name, fault)
        if fault != "lies":
            effect()
        self.life.cross(f"{name}, done")
        if fault == "late":
            raise DriverError(f"{name} broke off")


async def _stop(name: str, fault: Fault | None) -> None:
    """Keep an effect from happening at all, if that is its fault."""
    if fault == "hangs":
        await anyio.sleep_forever()
    if fault == "refuses":
        raise DriverError(f"{name} was refused")
