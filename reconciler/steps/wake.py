"""The step `wake`."""

from typing import ClassVar, Literal

from reconciler.model.facts import Contact, Health, Saved
from reconciler.model.gpu import Gpu
from reconciler.model.names import Value
from reconciler.model.observed import (
    CLAIM,
    CONTACT,
    GPU,
    HEALTH,
    ORPHANS,
    PORT,
    POWER,
    PREPARED,
    SAVED,
    UNIT,
    AnyFactKey,
    FactValue,
    Observed,
)
from reconciler.model.onhost import InDoubt
from reconciler.model.place import Door
from reconciler.model.port import PortState
from reconciler.model.power import Power
from reconciler.model.preparation import Prepared
from reconciler.steps.step import Step


class Sleeper(Value):
    """What a fresh boot is predicted to look like for one model."""

    model: str
    port: Door


class Wake(Step):
    """The waking of a host, into a fresh boot: nothing runs or listens there, no memory is held.

    `checked` says that another step looks after its accelerators, which need not be readable yet.
    """

    ensures: ClassVar[str] = "the host is reachable and usable"
    in_doubt: ClassVar[InDoubt] = "repeatable"
    of_power: ClassVar[bool] = True
    poll: ClassVar[tuple[float, float]] = (0.02, 0.1)

    kind: Literal["wake"] = "wake"
    deadline: float = 300.0
    models: tuple[Sleeper, ...]
    checked: bool = False

    @property
    def target(self) -> str:
        """The host's name."""
        return self.host

    @property
    def again(self) -> float | None:
        """How long a host is given to answer before it is asked once more: packets are lost."""
        return 10.0

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Power and contact, and all that a fresh boot decides."""
        return tuple(self._fresh_boot())

    def looks(self, world: Observed) -> tuple[AnyFactKey, ...]:
        """What tells that it is up: all the rest is seen before anything else is planned."""
        _ = world
        cards = () if self.checked else (GPU(self.host),)
        return (POWER(self.host), CONTACT(self.host), *cards)

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Nothing: a packet to a host that is up does no harm."""
        _ = world
        return ()

    def outcome(self, world: Observed) -> Observed:
        """The world of a fresh boot."""
        return world.predicting(self.kind, self._fresh_boot())

    def holds(self, world: Observed) -> bool:
        """Whether the host is on and answers, and its accelerators can be read."""
        answers = world.value(CONTACT(self.host)) is not None
        usable = self.checked or world.unknown(GPU(self.host)) is None
        return world.power(self.host) == "on" and answers and usable

    def _fresh_boot(self) -> dict[AnyFactKey, FactValue]:
        facts: dict[AnyFactKey, FactValue] = {
            POWER(self.host): Power(state="on"),
            CONTACT(self.host): Contact(boot_id=""),
            GPU(self.host): Gpu(),
            PREPARED(self.host): Prepared(),
            CLAIM(self.host): None,
            ORPHANS(self.host): (),
        }
        for sleeper in self.models:
            facts |= self._without(sleeper)
        return facts

    def _without(self, sleeper: Sleeper) -> dict[AnyFactKey, FactValue]:
        return {
            UNIT(self.host, sleeper.model): None,
            HEALTH(self.host, sleeper.model): Health(phase="absent"),
            SAVED(self.host, sleeper.model): Saved(),
            PORT(self.host, sleeper.port): PortState(),
        }
