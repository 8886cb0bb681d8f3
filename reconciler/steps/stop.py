"""The step `stop`."""

from __future__ import annotations

from typing import ClassVar, Literal

from reconciler.model.facts import Health, UnitIdentity
from reconciler.model.observed import HEALTH, PORT, UNIT, AnyFactKey, FactValue, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.port import PortState
from reconciler.steps.step import ModelStep


class Stop(ModelStep):
    """End a unit. `port` is None when nobody knows where it listens.

    `keeps` says that its conversations were saved before, so what grew since must be saved again;
    for `unsavable` of them there is no room, as the plan knows.
    """

    ensures: ClassVar[str] = (
        "the unit is gone, nobody is on its port, no process of its group is left"
    )
    in_doubt: ClassVar[InDoubt] = "observable"
    tears_down: ClassVar[bool] = True
    destructive: ClassVar[bool] = True

    kind: Literal["stop"] = "stop"
    deadline: float = 60.0
    port: int | None
    keeps: bool = False
    unsavable: int = 0
    identity: UnitIdentity | None = None

    @property
    def expected_losses(self) -> int | None:
        """How many conversations of it have no room, where it keeps any."""
        return self.unsavable if self.keeps else None

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Return the unit, its port and its health."""
        mine = (self.key(UNIT), self.key(HEALTH))
        return mine if self._port is None else (*mine, self._port)

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Return that the unit is not the one the plan meant."""
        unit = world.value(self.key(UNIT))
        if unit is not None and self.identity is not None and unit.identity != self.identity:
            return (f"{self.key(UNIT)}: another unit runs now (pid {unit.identity.pid})",)
        return ()

    def outcome(self, world: Observed) -> Observed:
        """Return the world without the unit."""
        facts: dict[AnyFactKey, FactValue] = {
            self.key(UNIT): None,
            self.key(HEALTH): Health(phase="absent"),
        }
        if self._port is not None and self._owns(self._port, world):
            facts[self._port] = PortState()
        return world.predicting(self.kind, facts)

    def holds(self, world: Observed) -> bool:
        """Return whether the unit is gone and holds its port no more."""
        gone = world.unknown(self.key(UNIT)) is None and world.value(self.key(UNIT)) is None
        return gone and (
            self._port is None
            or (world.unknown(self._port) is None and not self._owns(self._port, world))
        )

    @property
    def _port(self) -> AnyFactKey | None:
        return None if self.port is None else PORT(self.host, self.port)

    def _owns(self, port: AnyFactKey, world: Observed) -> bool:
        state = world.value(port)
        return state is not None and state.owner is not None and state.owner.model == self.model
