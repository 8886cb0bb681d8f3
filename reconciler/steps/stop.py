"""The step `stop`."""

from typing import ClassVar, Literal

from reconciler.model.facts import Health, UnitIdentity
from reconciler.model.observed import HEALTH, PORT, UNIT, AnyFactKey, FactValue, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.place import Door
from reconciler.model.port import PortState
from reconciler.steps.step import ModelStep


class Stop(ModelStep):
    """The end of a unit. `port` is None when it is not known where it listens.

    `keeps` says that its conversations were saved before, so what grew since must be saved again;
    for `unsavable` of them there is no room, as the plan knows.
    """

    ensures: ClassVar[str] = (
        "the unit is gone, nothing listens on its port, no process of its group is left"
    )
    in_doubt: ClassVar[InDoubt] = "observable"
    tears_down: ClassVar[bool] = True
    destructive: ClassVar[bool] = True
    weighed_before: ClassVar[str] = "before_stop"
    weighed_after: ClassVar[str] = "after_stop"

    kind: Literal["stop"] = "stop"
    deadline: float = 60.0
    port: Door | None
    keeps: bool = False
    unsavable: int = 0
    identity: UnitIdentity | None = None

    @property
    def expected_losses(self) -> int | None:
        """How many conversations of it have no room, where it keeps any."""
        return self.unsavable if self.keeps else None

    def reads(self) -> tuple[AnyFactKey, ...]:
        """The unit, its port and its health."""
        mine = (self.key(UNIT), self.key(HEALTH))
        return mine if self._port is None else (*mine, self._port)

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """That the unit is not the one the plan meant, and something of it runs, or is locked."""
        unit = self.seen(world).unit
        # Each try of what fails again and again is another unit; between two, none is cut.
        if unit is None or unit.waits:
            return ()
        if self.identity not in {None, unit.identity}:
            return (f"{self.key(UNIT)}: another unit runs now (pid {unit.identity.pid})",)
        return (unit.locked,) if unit.locked else ()

    def outcome(self, world: Observed) -> Observed:
        """The world without the unit."""
        facts: dict[AnyFactKey, FactValue] = {
            self.key(UNIT): None,
            self.key(HEALTH): Health(phase="absent"),
        }
        if self.port is not None and self.owns_port(self.port, world):
            facts[PORT(self.host, self.port)] = PortState()
        return world.predicting(self.kind, facts)

    def holds(self, world: Observed) -> bool:
        """Whether the unit is gone and holds its port no more."""
        return self.seen(world).is_gone and self._left_port(world)

    @property
    def _port(self) -> AnyFactKey | None:
        return None if self.port is None else PORT(self.host, self.port)

    def _left_port(self, world: Observed) -> bool:
        return self.port is None or (
            world.unknown(PORT(self.host, self.port)) is None
            and not self.owns_port(self.port, world)
        )
