"""The step `hold_requests`."""

from typing import ClassVar, Literal

from reconciler.model.observed import ADMITTING, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.traffic import Admitting
from reconciler.steps.step import ModelStep


class HoldRequests(ModelStep):
    """No new request reaches a model that will be stopped; those under way go on."""

    ensures: ClassVar[str] = "the gateway sends no new request to the model"
    in_doubt: ClassVar[InDoubt] = "repeatable"
    counts: ClassVar[bool] = False

    kind: Literal["hold_requests"] = "hold_requests"
    deadline: float = 5.0

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Which unit the gate is open for."""
        return (self.key(ADMITTING),)

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Nothing: a gate can always be closed."""
        _ = world
        return ()

    def outcome(self, world: Observed) -> Observed:
        """The world with the gate closed."""
        return world.predicting(self.kind, {self.key(ADMITTING): Admitting()})

    def holds(self, world: Observed) -> bool:
        """Whether the gate is closed."""
        gate = self.seen(world).admitting
        return gate is not None and gate.identity is None
