"""Run a unit as a plain process in its own session, found again by the mark in its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, TypeAdapter

from reconciler.drivers.launchers.shared.owned import OwnedUnits
from reconciler.model.facts import Fact, Mark, Unit
from reconciler.model.onhost.answers import understood
from reconciler.model.onhost.processes import AskUnits, Spawn, StopProcess
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model.spec import ModelSpec
    from reconciler.ports import Access, Evidence

CAPABILITIES = Capabilities(owns=True)

AGAIN_SECONDS = 5.0
KILL_SECONDS = 10.0

_UNITS = TypeAdapter(tuple[Unit, ...])


class Options(BaseModel):
    """No options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Driver(OwnedUnits):
    """The launcher of processes."""

    needs_definition = False

    def __init__(self, access: Access, _: Sequence[ModelSpec] = ()) -> None:
        """Use a host; which models there are says nothing that a mark does not."""
        super().__init__(access)

    async def units(self, _: Sequence[ModelSpec] = ()) -> Fact[tuple[Unit, ...]]:
        """Every process group on the host that carries a mark. Source: /proc/PID/environ."""
        (fact,) = await self._access.ask([AskUnits()])
        return understood(
            fact, lambda said: _UNITS.validate_python(said["units"]), "the list of the host's units"
        )

    async def start(self, model: ModelSpec, mark: Mark) -> Evidence:
        """Start the unit with its mark, in its own directory.

        Raise DriverError, or Declined without its secrets.
        """
        return await self._access.act(Spawn(**self.spawned(model, mark)))

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End the unit and its group: TERM, `grace` seconds, TERM, KILL.

        Raise DriverError when one of them is left.
        """
        return await self._access.act(
            StopProcess(identity=unit.identity, grace=grace, again=AGAIN_SECONDS, kill=KILL_SECONDS)
        )
