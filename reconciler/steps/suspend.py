"""Suspend: the host sleeps with its memory kept."""

from __future__ import annotations

from typing import ClassVar, Literal

from reconciler.model.facts import FactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.steps.shutdown import shutdown_blockers
from reconciler.steps.step import Step


class Suspend(Step):
    """Suspend a host to RAM. Irreversible once issued, and only when nothing of ours runs there."""

    in_doubt: ClassVar[InDoubt] = "irreversible"
    destructive: ClassVar[bool] = True
    poll: ClassVar[tuple[float, float]] = (0.5, 2.0)

    kind: Literal["suspend"] = "suspend"
    deadline: float = 60.0
    models: tuple[str, ...]

    @property
    def target(self) -> str:
        """Return the host's name."""
        return self.host

    def reads(self) -> tuple[FactKey, ...]:
        """Return power and every unit of the host."""
        return (FactKey("power", self.host), *(FactKey("unit", self.host, model) for model in self.models))

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Return the units that still run."""
        return shutdown_blockers(world, self.host, self.models)

    def outcome(self, world: Observed) -> Observed:
        """Return the world with the host suspended."""
        return world.predicting(self.kind, {FactKey("power", self.host): "suspended"})

    def holds(self, world: Observed) -> bool:
        """Return whether the host is suspended."""
        return world.value(FactKey("power", self.host), str) == "suspended"
