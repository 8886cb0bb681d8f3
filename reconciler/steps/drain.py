"""The step `drain`."""

from __future__ import annotations

from typing import ClassVar, Literal

from reconciler.model.facts import Activity
from reconciler.model.observed import ACTIVITY, UNIT, AnyFactKey, FactKind, Observed
from reconciler.model.onhost import InDoubt
from reconciler.steps.step import ModelStep


class Drain(ModelStep):
    """Wait until an engine is idle.

    The engine's own word is asked at most every 1.5 s: faster polling hides aborted requests.

    Between two requests of clients that do not stop asking, a single look may meet no slot busy. An
    engine that was idle when the plan was made, and has run nothing since, was seen twice already.
    """

    ensures: ClassVar[str] = (
        "nothing is in flight in two looks that follow each other, or the deadline passed"
    )
    acts: ClassVar[bool] = False
    in_doubt: ClassVar[InDoubt] = "repeatable"
    waits_for_clients: ClassVar[bool] = True
    best_effort: ClassVar[bool] = True
    poll: ClassVar[tuple[float, float]] = (1.5, 1.5)
    looks_anew_at: ClassVar[frozenset[FactKind]] = frozenset({"activity"})
    looks_at_once: ClassVar[bool] = False

    kind: Literal["drain"] = "drain"
    deadline: float = 60.0

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Return the unit and what it is doing."""
        return (self.key(UNIT), self.key(ACTIVITY))

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Return that nobody can say whether the engine is idle."""
        unknown = world.unknown(self.key(ACTIVITY))
        return (f"{self.key(ACTIVITY)}: {unknown.reason}",) if unknown else ()

    def outcome(self, world: Observed) -> Observed:
        """Return the world with every slot idle."""
        activity = world.value(self.key(ACTIVITY)) or Activity()
        idle = tuple(slot.model_copy(update={"busy": False}) for slot in activity.slots)
        drained = activity.model_copy(update={"slots": idle, "deferred": 0, "calm": True})
        return world.predicting(self.kind, {self.key(ACTIVITY): drained})

    def holds(self, world: Observed) -> bool:
        """Return whether nothing runs, nothing waits, and nothing has run since the look before."""
        activity = world.value(self.key(ACTIVITY))
        return activity is not None and activity.calm and activity.in_flight == 0
