"""The step `shutdown`."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from reconciler.model.observed import GPU, GUARDS, POWER, UNIT, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.power import Guards, Power, PowerState
from reconciler.steps.step import Step

HANGS_SECONDS = 120.0
"""How long a host may take to go down before that counts as hanging."""


class DownWait(Step):
    """A step that ends when a host is observed to be down.

    `force` says that its power may be cut where it hangs.
    """

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
    """A request to a host to go down, irreversible once issued.

    It is made only when nothing of ours runs there and nothing stands in the way. `own` are the
    processes that may hold its cards, because they are stopped before.
    """

    in_doubt: ClassVar[InDoubt] = "irreversible"
    ends_down: ClassVar[bool] = True
    destructive: ClassVar[bool] = True
    ends: ClassVar[PowerState]

    models: tuple[str, ...]
    own: tuple[int, ...] = ()

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Power, all that stands in the way of changing it, and every unit of the host."""
        units = (UNIT(self.host, model) for model in self.models)
        return (POWER(self.host), GUARDS(self.host), GPU(self.host), *units)

    def looks(self, world: Observed) -> tuple[AnyFactKey, ...]:
        """The power alone: a host that goes down need not tell what was in the way."""
        _ = world
        return (POWER(self.host),)

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """What stands in the way: running units, people, programs, jobs, or no way back."""
        guards = world.value(GUARDS(self.host)) or Guards()
        return (*self._units(world), *guards.reasons, *self._jobs(world))

    def outcome(self, world: Observed) -> Observed:
        """The world with the host down."""
        down = Power(state=self.ends, grade="inferred", because=f"after {self.kind}")
        return world.predicting(self.kind, {POWER(self.host): down})

    def holds(self, world: Observed) -> bool:
        """Whether the host is down in the way that is meant."""
        return world.power(self.host) == self.ends

    def _units(self, world: Observed) -> Iterator[str]:
        for model in self.models:
            if world.value(UNIT(self.host, model)) is not None:
                yield f"unit {self.host}/{model} still runs"

    def _jobs(self, world: Observed) -> Iterator[str]:
        jobs = self.cards(world).jobs
        return (f"{job} uses a card" for job in jobs if job.pid not in self.own)


class Shutdown(Descent):
    """The powering off of a host."""

    ensures: ClassVar[str] = "the host is observed to be down"
    ends: ClassVar[PowerState] = "off"

    kind: Literal["shutdown"] = "shutdown"
    deadline: float = 180.0
