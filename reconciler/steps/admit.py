"""The step `admit`."""

from typing import ClassVar, Literal

from reconciler.model.observed import ADMITTING, HEALTH, UNIT, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.traffic import Admitting
from reconciler.steps.step import ModelStep, why_unknown


class Admit(ModelStep):
    """Requests for a model may reach its unit."""

    ensures: ClassVar[str] = "the gateway sends requests for the model to this very unit"
    in_doubt: ClassVar[InDoubt] = "repeatable"
    # A model that works is not rolled back because requests cannot reach it yet.
    best_effort: ClassVar[bool] = True
    counts: ClassVar[bool] = False

    kind: Literal["admit"] = "admit"
    deadline: float = 5.0
    port: int
    at_once: int = 1

    def reads(self) -> tuple[AnyFactKey, ...]:
        """The unit, how it is, and which unit the gate is open for."""
        return tuple(self.key(kind) for kind in (UNIT, HEALTH, ADMITTING))

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Why there is no unit that has shown that it serves."""
        unknown = why_unknown(world, [self.key(UNIT), self.key(HEALTH)])
        if unknown:
            return unknown
        health = self.seen(world).health
        if self.seen(world).unit is None or health is None or not health.takes_requests:
            return (f"{self.model} does not serve yet",)
        return ()

    def outcome(self, world: Observed) -> Observed:
        """The world with the gate open for the unit that runs."""
        unit = self.seen(world).unit
        open_for = Admitting(identity=unit.identity if unit else None)
        return world.predicting(self.kind, {self.key(ADMITTING): open_for})

    def holds(self, world: Observed) -> bool:
        """Whether the gate is open for the unit that runs, and for no other."""
        unit, gate = self.seen(world).unit, self.seen(world).admitting
        return unit is not None and gate is not None and gate.identity == unit.identity
