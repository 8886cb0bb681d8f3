"""The step `drain`."""

from typing import ClassVar, Literal

from reconciler.model.facts import Activity
from reconciler.model.observed import (
    ACTIVITY,
    TRAFFIC,
    UNIT,
    AnyFactKey,
    FactKind,
    FactValue,
    Observed,
)
from reconciler.model.onhost import InDoubt
from reconciler.model.traffic import Traffic
from reconciler.steps.step import ModelStep, why_unknown


class Drain(ModelStep):
    """The wait until an engine is idle."""

    ensures: ClassVar[str] = (
        "nothing is in flight in two looks that follow each other, or the deadline passed"
    )
    acts: ClassVar[bool] = False
    in_doubt: ClassVar[InDoubt] = "repeatable"
    waits_for_clients: ClassVar[bool] = True
    best_effort: ClassVar[bool] = True
    # Faster polling hides aborted requests from the engine's own word.
    poll: ClassVar[tuple[float, float]] = (1.5, 1.5)
    # Once requests are held back, a new count tells of every one that still got through; the one
    # of the plan may be older than the last of them.
    looks_again_at: ClassVar[frozenset[FactKind]] = frozenset({"activity", "traffic"})
    # Between two requests of clients that keep asking, a single look may find no slot busy
    # (ADR 0014). An engine that was idle in the plan and has run nothing since was seen twice.
    looks_at_once: ClassVar[bool] = False

    kind: Literal["drain"] = "drain"
    deadline: float = 60.0

    def reads(self) -> tuple[AnyFactKey, ...]:
        """The unit, what it is doing, and the requests that a gateway carries to it."""
        return (self.key(UNIT), self.key(ACTIVITY), self.key(TRAFFIC))

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Why it is not known whether the engine is idle."""
        return why_unknown(world, [self.key(ACTIVITY)])

    def outcome(self, world: Observed) -> Observed:
        """The world with every slot idle."""
        activity = self.seen(world).activity or Activity()
        ended: dict[AnyFactKey, FactValue] = {self.key(ACTIVITY): _idle(activity)}
        if self.key(TRAFFIC) in world:
            traffic = self.seen(world).traffic or Traffic()
            ended[self.key(TRAFFIC)] = traffic.model_copy(update={"in_flight": 0})
        return world.predicting(self.kind, ended)

    def holds(self, world: Observed) -> bool:
        """Whether nothing runs, nothing waits, and nothing has run since the look before."""
        activity = self.seen(world).activity
        if activity is None or not activity.calm or activity.in_flight:
            return False
        # Where there is no gateway, nothing has looked for its traffic.
        traffic = self.seen(world).traffic if self.key(TRAFFIC) in world else Traffic()
        return traffic is not None and traffic.in_flight == 0


def _idle(activity: Activity) -> Activity:
    slots = tuple(slot.model_copy(update={"busy": False}) for slot in activity.slots)
    return activity.model_copy(update={"slots": slots, "deferred": 0, "calm": True})
