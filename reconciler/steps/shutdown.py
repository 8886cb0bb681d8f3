"""The step `shutdown`."""

from __future__ import annotations

from typing import ClassVar, Literal

from reconciler.model.gpu import Gpu
from reconciler.model.observed import GPU, GUARDS, POWER, UNIT, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.power import Guards, Power, PowerState
from reconciler.steps.step import Step

HANGS_SECONDS = 120.0
"""How long a host may take to go down before that counts as hanging."""


class DownWait(Step):
    """End when a host is seen to be down. `force` says that its power may be cut where it hangs."""

    of_power: ClassVar[bool] = True
    poll: ClassVar[tuple[float, float]] = (0.2, 2.0)

    force: bool = False

    @property
    def target(self) -> str:
        """The host's name."""
        return self.host

    @property
    def again(self) -> float | None:
        """When a host that hangs loses its power, where that is allowed."""
        return HANGS_SECONDS if self.force else None


class Descent(DownWait):
    """Send a host down.

    Irreversible once issued, and only when nothing of ours runs there and nobody is in the way.

    `own` are the processes that may hold its cards, because they are stopped before.
    """

    in_doubt: ClassVar[InDoubt] = "irreversible"
    ends_down: ClassVar[bool] = True
    destructive: ClassVar[bool] = True
    ends: ClassVar[PowerState]

    models: tuple[str, ...]
    own: tuple[int, ...] = ()

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Return power, all that stands in the way of changing it, and every unit of the host."""
        units = (UNIT(self.host, model) for model in self.models)
        return (POWER(self.host), GUARDS(self.host), GPU(self.host), *units)

    def looks(self, world: Observed) -> tuple[AnyFactKey, ...]:
        """Return the power alone: a host that goes down need not tell what was in the way."""
        _ = world
        return (POWER(self.host),)

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Return who or what stands in the way: units that still run, people, programs, jobs on the cards, or no way back."""
        running = (
            model for model in self.models if world.value(UNIT(self.host, model)) is not None
        )
        guards = world.value(GUARDS(self.host)) or Guards()
        jobs = (
            job for job in (world.value(GPU(self.host)) or Gpu()).jobs if job.pid not in self.own
        )
        units = (f"unit {self.host}/{model} still runs" for model in running)
        return (*units, *guards.reasons, *(f"{job} uses a card" for job in jobs))

    def outcome(self, world: Observed) -> Observed:
        """Return the world with the host down."""
        down = Power(state=self.ends, grade="inferred", because=f"after {self.kind}")
        return world.predicting(self.kind, {POWER(self.host): down})

    def holds(self, world: Observed) -> bool:
        """Return whether the host is down in the way that is meant."""
        return world.power(self.host) == self.ends


class Shutdown(Descent):
    """Power a host off."""

    ensures: ClassVar[str] = "the host is observed to be down"
    ends: ClassVar[PowerState] = "off"

    kind: Literal["shutdown"] = "shutdown"
    deadline: float = 180.0
