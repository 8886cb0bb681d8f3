"""Sight: what was observed of one model on its host."""

from typing import NamedTuple

from reconciler.model.facts import (
    Activity,
    Answer,
    Binary,
    Fingerprint,
    Flags,
    Health,
    Saved,
    Unit,
    Weights,
)
from reconciler.model.observed import (
    ACTIVITY,
    ADMITTING,
    ANSWERED,
    BINARY,
    FINGERPRINT,
    FLAGS,
    HEALTH,
    SAVED,
    TRAFFIC,
    UNIT,
    WEIGHTS,
    FactKey,
    ModelFact,
    Observed,
    V,
)
from reconciler.model.traffic import Admitting, Traffic


class ModelSight(NamedTuple):
    """The facts of one model in a world, None where there is nothing or it is not known."""

    world: Observed
    host: str
    model: str

    @property
    def unit(self) -> Unit | None:
        """The unit that runs."""
        return self._value(UNIT)

    @property
    def health(self) -> Health | None:
        """How its engine answers."""
        return self._value(HEALTH)

    @property
    def answer(self) -> Answer | None:
        """The real answer that its engine gave."""
        return self._value(ANSWERED)

    @property
    def activity(self) -> Activity | None:
        """What its engine is doing and remembers."""
        return self._value(ACTIVITY)

    @property
    def saved(self) -> Saved | None:
        """Its folder of saved conversations."""
        return self._value(SAVED)

    @property
    def weights(self) -> Weights | None:
        """The file of its weights."""
        return self._value(WEIGHTS)

    @property
    def binary(self) -> Binary | None:
        """The program that would be started."""
        return self._value(BINARY)

    @property
    def flags(self) -> Flags | None:
        """Which flags that program knows."""
        return self._value(FLAGS)

    @property
    def fingerprint(self) -> Fingerprint | None:
        """What its conversations would depend on."""
        return self._value(FINGERPRINT)

    @property
    def admitting(self) -> Admitting | None:
        """Which unit the gateway lets requests through to."""
        return self._value(ADMITTING)

    @property
    def traffic(self) -> Traffic | None:
        """The requests that the gateway carries to it."""
        return self._value(TRAFFIC)

    @property
    def is_gone(self) -> bool:
        """Whether it is known that no unit is there."""
        return self.world.unknown(self._key(UNIT)) is None and self.unit is None

    def _key(self, kind: ModelFact[V]) -> FactKey[V]:
        return kind(self.host, self.model)

    def _value(self, kind: ModelFact[V]) -> V | None:
        return self.world.value(self._key(kind))
