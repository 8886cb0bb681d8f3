"""The step `await_down`."""

from typing import ClassVar, Literal

from reconciler.model.observed import POWER, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.power import Power, PowerState
from reconciler.steps.shutdown import DownWait


class AwaitDown(DownWait):
    """The wait for a host that has agreed to go down: nothing more is asked of it."""

    ensures: ClassVar[str] = "a host that has agreed to go down is observed to be down"
    in_doubt: ClassVar[InDoubt] = "observable"
    ends_down: ClassVar[bool] = True

    kind: Literal["await_down"] = "await_down"
    deadline: float = 180.0
    ends: PowerState

    def reads(self) -> tuple[AnyFactKey, ...]:
        """The power of the host."""
        return (POWER(self.host),)

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Nothing: waiting does no harm."""
        _ = world
        return ()

    def outcome(self, world: Observed) -> Observed:
        """The world with the host down."""
        down = Power(state=self.ends, grade="inferred", because="it has accepted to go down")
        return world.predicting(self.kind, {POWER(self.host): down})

    def holds(self, world: Observed) -> bool:
        """Whether the host is down in the way that it agreed to."""
        return world.power(self.host) == self.ends
