"""The step `prepare`."""

from typing import ClassVar, Literal

from reconciler.model.gpu import Gpu
from reconciler.model.observed import GPU, PREPARED, AnyFactKey, FactValue, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.preparation import Prepared
from reconciler.steps.step import Step


class Prepare(Step):
    """What a host is prepared with, and the check of it.

    `checks`: nothing runs there that a check or its remedies could hurt.
    """

    ensures: ClassVar[str] = "what a boot forgets is set again, and the accelerators work"
    in_doubt: ClassVar[InDoubt] = "repeatable"
    of_power: ClassVar[bool] = True

    kind: Literal["prepare"] = "prepare"
    deadline: float = 60.0
    digest: str
    checks: bool

    @property
    def target(self) -> str:
        """The host's name."""
        return self.host

    @property
    def wanted_digest(self) -> str:
        """The digest of what it is prepared with."""
        return self.digest

    def reads(self) -> tuple[AnyFactKey, ...]:
        """What it was prepared with, and its accelerators."""
        return (PREPARED(self.host), GPU(self.host))

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """The jobs that a check, or what helps where it fails, could hurt."""
        jobs = self.cards(world).jobs if self.checks else ()
        return tuple(f"{job} uses a card" for job in jobs)

    def outcome(self, world: Observed) -> Observed:
        """The world of a prepared host: accelerators as they are, or fresh where not seen."""
        facts: dict[AnyFactKey, FactValue] = {PREPARED(self.host): Prepared(digest=self.digest)}
        if self._is_broken(world):
            facts[GPU(self.host)] = Gpu()
        return world.predicting(self.kind, facts)

    def holds(self, world: Observed) -> bool:
        """Whether it was prepared since it came up, and its accelerators work where checked."""
        prepared = world.value(PREPARED(self.host))
        if prepared is None or prepared.digest != self.digest:
            return False
        return not self._is_broken(world)

    def _is_broken(self, world: Observed) -> bool:
        return self.checks and world.unknown(GPU(self.host)) is not None
