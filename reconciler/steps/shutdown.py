"""Shut down: the host is seen to be down."""

from __future__ import annotations

from typing import ClassVar, Literal

from reconciler.model.facts import FactKey, Observed, Unit
from reconciler.model.onhost import InDoubt
from reconciler.steps.step import Step


class Shutdown(Step):
    """Power a host off. Irreversible once issued, and only when nothing of ours runs there."""

    in_doubt: ClassVar[InDoubt] = "irreversible"
    destructive: ClassVar[bool] = True
    poll: ClassVar[tuple[float, float]] = (0.5, 2.0)

    kind: Literal["shutdown"] = "shutdown"
    deadline: float = 180.0
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
        """Return the world with the host off."""
        return world.predicting(self.kind, {FactKey("power", self.host): "off"})

    def holds(self, world: Observed) -> bool:
        """Return whether the host is off."""
        return world.value(FactKey("power", self.host), str) == "off"


def shutdown_blockers(world: Observed, host: str, models: tuple[str, ...]) -> tuple[str, ...]:
    """Return the units that must be stopped before a host may go down."""
    running = (model for model in models if world.value(FactKey("unit", host, model), Unit) is not None)
    return tuple(f"unit {host}/{model} still runs" for model in running)
