"""The step: one idempotent action as data, with four pure functions.

`reads` names the facts it depends on or changes, `blocked_by` says why it may not run in a world,
`predict` returns the world after it, and `holds` says whether its postcondition is seen. Laws,
tested for every kind: what is not blocked holds in its predicted world; what holds is predicted to
change nothing; nothing outside `reads` is looked at or changed; an Unknown among the reads of a
destructive step blocks it; what ends a wait is among what it `looks` at.
"""

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from reconciler.model.facts import UnitIdentity
from reconciler.model.gpu import Gpu
from reconciler.model.names import Value
from reconciler.model.observed import (
    GPU,
    PORT,
    AnyFactKey,
    FactKey,
    FactKind,
    ModelFact,
    Observed,
    V,
)
from reconciler.model.onhost import InDoubt
from reconciler.model.place import Door
from reconciler.model.sight import ModelSight

PREDICTED_IDENTITY = UnitIdentity(pid=0, start=0, inode=0, boot_id="")
"""Stands for the identity of a unit that has not been started yet."""


class Step(Value):
    """One action on one host.

    `deadline` is in seconds, `poll` the first and the longest wait between two looks.

    What is so when it `holds` is said by `ensures`.

    What it `looks_again_at` is seen again when it begins, however fresh. One that does not act only
    waits: it has no effect, and need not look right away.

    What it is to a run: it `starts` a unit, `awaits_start` of one, or `tears_down` what served; it
    `waits_for_clients`, or `needs_calm` while they may come back; it `puts_back` conversations; or
    `ends_down`, when the host is seen to be down. It `counts` where two plans differ that do not
    both have it. How much of each card is held is noted as `weighed_before` and `weighed_after` it.
    """

    ensures: ClassVar[str]
    in_doubt: ClassVar[InDoubt]
    destructive: ClassVar[bool] = False
    best_effort: ClassVar[bool] = False
    skippable: ClassVar[bool] = True
    acts: ClassVar[bool] = True
    of_power: ClassVar[bool] = False
    poll: ClassVar[tuple[float, float]] = (0.02, 0.5)
    looks_again_at: ClassVar[frozenset[FactKind]] = frozenset()
    looks_at_once: ClassVar[bool] = True
    starts: ClassVar[bool] = False
    awaits_start: ClassVar[bool] = False
    tears_down: ClassVar[bool] = False
    waits_for_clients: ClassVar[bool] = False
    needs_calm: ClassVar[bool] = False
    puts_back: ClassVar[bool] = False
    ends_down: ClassVar[bool] = False
    counts: ClassVar[bool] = True
    weighed_before: ClassVar[str] = ""
    weighed_after: ClassVar[str] = ""

    kind: str
    host: str
    deadline: float

    @property
    @abstractmethod
    def target(self) -> str:
        """What the step is about, for the plan's column."""

    def cards(self, world: Observed) -> Gpu:
        """The accelerators of the host, none where they are not known."""
        return world.value(GPU(self.host)) or Gpu()

    @property
    def wanted_digest(self) -> str:
        """The digest of the command that the step brings about, when it does."""
        return ""

    @property
    def again(self) -> float | None:
        """After how many seconds of waiting the effect is tried once more, None for never."""
        return None

    @property
    def gives_up(self) -> bool:
        """Whether a run goes on without it where it failed."""
        return self.best_effort

    @property
    def expected_losses(self) -> int | None:
        """How many conversations the plan says end with it, None where none was to be kept."""
        return None

    @property
    def sightings(self) -> int:
        """How many looks in a row must see the postcondition before it counts."""
        return 1

    @abstractmethod
    def reads(self) -> tuple[AnyFactKey, ...]:
        """The facts that the step depends on or changes."""

    def looks(self, world: Observed) -> tuple[AnyFactKey, ...]:
        """The facts to look at while it is waited for: what ends the wait, and what it changed."""
        _ = world
        return self.reads()

    @abstractmethod
    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Why the step may not run in a world of which enough is known."""

    @abstractmethod
    def outcome(self, world: Observed) -> Observed:
        """The world that carrying out the step brings about."""

    @abstractmethod
    def holds(self, world: Observed) -> bool:
        """Whether the postcondition is seen."""

    def blocked_by(self, world: Observed) -> tuple[str, ...]:
        """Every reason why the step may not run, none when it may."""
        return why_unknown(world, self.needs()) or self.blockers(world)

    def predict(self, world: Observed) -> Observed:
        """The world after the step: the same where it holds already and is skipped."""
        return world if self.skippable and self.holds(world) else self.outcome(world)

    def needs(self) -> tuple[AnyFactKey, ...]:
        """The facts that must not be Unknown: all it reads when it destroys something, or none."""
        return self.reads() if self.destructive else ()

    def cannot_succeed_reason(self, world: Observed) -> str:
        """Why waiting longer cannot help, empty while it may."""
        _ = world
        return ""

    def may_proceed_unknown(self, world: Observed) -> bool:
        """Whether going on, once something was torn down, beats waiting for what is Unknown."""
        _ = world
        return False


class ModelStep(Step):
    """A step about one model."""

    model: str

    @property
    def target(self) -> str:
        """The model's name."""
        return self.model

    def key(self, kind: ModelFact[V]) -> FactKey[V]:
        """The key of a fact about this model."""
        return kind(self.host, self.model)

    def seen(self, world: Observed) -> ModelSight:
        """What a world tells of this model."""
        return ModelSight(world, self.host, self.model)

    def owns_port(self, port: Door, world: Observed) -> bool:
        """Whether the model is known to own a port."""
        state = world.value(PORT(self.host, port))
        return state is not None and state.owner is not None and state.owner.model == self.model


def why_unknown(world: Observed, keys: Iterable[AnyFactKey]) -> tuple[str, ...]:
    """Why these facts are Unknown, a sentence for each that is."""
    return tuple(f"{key}: {fact.reason}" for key in keys if (fact := world.unknown(key)))
