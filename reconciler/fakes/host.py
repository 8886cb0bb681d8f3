"""The way to a world in one life of the controller: what is hidden from it, and what its actors do instead of their work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.lowlevel

from reconciler.errors import DriverError
from reconciler.fakes.life import Life
from reconciler.fakes.world import World
from reconciler.model.facts import Fact, Known, Unknown

T = TypeVar("T")


@dataclass(frozen=True)
class FakeHost:
    """The way to a world in one life of the controller."""

    world: World
    life: Life

    async def see(self, name: str, look: Callable[[], T]) -> Fact[T]:
        """Return what a look sees, Unknown when it raises, the host is not on or the world hides it under this name."""
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
        if fault == "hangs":
            await anyio.sleep_forever()
        if fault == "refuses":
            raise DriverError(f"{name} was refused")
        if fault != "lies":
            effect()
        self.life.cross(f"{name}, done")
        if fault == "late":
            raise DriverError(f"{name} broke off")
