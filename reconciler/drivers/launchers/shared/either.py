"""Units of one kind of which some exist already, and some are made by us: by what a model says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from reconciler.model.facts import Fact, Known, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.drivers.launchers.shared.given import GivenUnits
    from reconciler.model.facts import Binary, Flags, Mark, Unit
    from reconciler.model.given_command import GivenCommand
    from reconciler.model.held_unit import HeldUnit
    from reconciler.model.log import LogPart
    from reconciler.model.spec import Kind, ModelSpec
    from reconciler.ports import Evidence


class OwnedLauncher(Protocol):
    """What starts units that are made by us."""

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        """Every one that carries our mark."""
        ...

    async def binary(self, model: ModelSpec) -> Fact[Binary]:
        """What would be started."""
        ...

    async def flags(self, model: ModelSpec) -> Fact[Flags]:
        """What speaks against its command line."""
        ...

    async def log(self, model_name: str, lines: int = 20, after: str = "") -> Fact[LogPart]:
        """What it wrote."""
        ...

    async def start(self, model: ModelSpec, mark: Mark) -> Evidence:
        """Make and start it."""
        ...

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End it."""
        ...


class GivenOrOwned:
    """The launcher of units of either sort."""

    def __init__(
        self, given: GivenUnits, owned: OwnedLauncher, models: Sequence[ModelSpec]
    ) -> None:
        """Use a launcher for each sort; each model's own options say which it is."""
        self._given, self._owned = given, owned
        self._launchers = {model.name: model.launcher for model in models}

    @staticmethod
    def is_owned(launcher: Kind) -> bool:
        """Whether a model's options mean a unit that we make."""
        raise NotImplementedError

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        """Every unit of the models that exists and runs, and every one that carries our mark."""
        owned_before = [model for model in former if self.is_owned(model.launcher)]
        given = await self._given.units([one for one in former if one not in owned_before])
        owned = await self._owned.units(owned_before)
        if isinstance(given, Unknown):
            return given
        return owned if isinstance(owned, Unknown) else Known((*given.value, *owned.value))

    async def binary(self, model: ModelSpec) -> Fact[Binary]:
        """The program or the image that it runs, or why it cannot start."""
        return await self._of(model.launcher).binary(model)

    async def flags(self, model: ModelSpec) -> Fact[Flags]:
        """What the program says of its command line, where that is ours and it can be asked."""
        return await self._of(model.launcher).flags(model)

    async def command(self, model: ModelSpec) -> Fact[GivenCommand]:
        """What one that exists runs, or would be started with."""
        return await self._given.command(model)

    async def log(self, model_name: str, lines: int = 20, after: str = "") -> Fact[LogPart]:
        """The last lines of its newest start, or those since `after`."""
        return await self._of(self._launchers[model_name]).log(model_name, lines, after)

    async def start(self, model: ModelSpec, mark: Mark) -> Evidence:
        """Start it; raise DriverError, or Declined without its secrets."""
        return await self._of(model.launcher).start(model, mark)

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End it, KILL for what is left after `grace` seconds and some; raise DriverError."""
        return await self._of(unit.launcher).stop(unit, grace)

    def _of(self, launcher: Kind) -> GivenUnits | OwnedLauncher:
        return self._owned if self.is_owned(launcher) else self._given
