"""The step `prefetch`."""

from typing import ClassVar, Literal

from reconciler.model.observed import WEIGHTS, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.steps.step import ModelStep


class Prefetch(ModelStep):
    """The reading of weights ahead of time. Nothing depends on it, so it always counts as done."""

    ensures: ClassVar[str] = "the next weights are being read into the host's page cache"
    in_doubt: ClassVar[InDoubt] = "repeatable"
    best_effort: ClassVar[bool] = True
    skippable: ClassVar[bool] = False

    kind: Literal["prefetch"] = "prefetch"
    deadline: float = 10.0

    def reads(self) -> tuple[AnyFactKey, ...]:
        """The weights file."""
        return (self.key(WEIGHTS),)

    def looks(self, world: Observed) -> tuple[AnyFactKey, ...]:
        """Nothing: it is not waited for."""
        _ = world
        return ()

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Nothing."""
        _ = world
        return ()

    def outcome(self, world: Observed) -> Observed:
        """The same world."""
        return world

    def holds(self, world: Observed) -> bool:
        """Always: the page cache is not worth a look."""
        _ = world
        return True
