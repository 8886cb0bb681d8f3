"""What every effect is given, and how it says that the world moved under it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from reconciler.errors import DriverError
from reconciler.model.facts import Unit
from reconciler.model.observed import Observed
from reconciler.model.spec import ModelSpec, Slice
from reconciler.ports import Evidence, HostPorts
from reconciler.steps.step import ModelStep, Step

StepT = TypeVar("StepT", bound=Step)
Perform = Callable[[StepT, "EffectContext"], Awaitable[Evidence]]

MISSED = "missed"
"""The key of the evidence by which an effect says that it did nothing, because the plan no longer
fits."""

ACCEPTED = "accepted"
"""The key of the evidence under which an effect says which boot of a host accepted to go down."""

FAILED = "failed"
"""The key of the evidence under which an effect lists, in sentences, what it could not do."""

LOST = "lost"
"""The key of the evidence under which a stop lists the slots that were to be kept and end with the
unit."""


@dataclass(frozen=True)
class EffectContext:
    """What an effect acts with: ports, definitions, and the world as it was seen a moment ago."""

    ports: HostPorts
    slice: Slice
    controller: str
    world: Observed
    gave_up: frozenset[tuple[str, str]] = frozenset()
    attempt: int = 0

    def model(self, step: ModelStep) -> ModelSpec:
        """The definition of a step's model; raise DriverError."""
        model = self.slice.model(step.model)
        if model is None:
            raise DriverError(f"{step.model} has no definition on {step.host}")
        return model

    def unit(self, step: ModelStep) -> Unit:
        """The running unit of a step's model; raise DriverError."""
        unit = step.seen(self.world).unit
        if unit is None:
            raise DriverError(f"{step.model} does not run on {step.host}")
        return unit
