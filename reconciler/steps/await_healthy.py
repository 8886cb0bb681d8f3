"""The step `await_healthy`."""

from typing import ClassVar, Literal

from reconciler.model.facts import Answer, Health, Unit
from reconciler.model.observed import ANSWERED, HEALTH, PORT, UNIT, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.place import Door
from reconciler.model.port import PortOwner, PortState
from reconciler.steps.step import ModelStep, why_unknown

ENDED = "it exited while loading"


class AwaitHealthy(ModelStep):
    """The wait until an engine has shown that it works."""

    ensures: ClassVar[str] = (
        "the port answers, belongs to our unit, and gave one real answer of its task"
    )
    acts: ClassVar[bool] = False
    weighed_after: ClassVar[str] = "after_start"
    in_doubt: ClassVar[InDoubt] = "observable"
    awaits_start: ClassVar[bool] = True
    poll: ClassVar[tuple[float, float]] = (0.005, 0.25)

    kind: Literal["await_healthy"] = "await_healthy"
    deadline: float = 300.0
    port: Door
    digest: str

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Unit, port, health and the real answer."""
        return (*(self.key(kind) for kind in (UNIT, HEALTH, ANSWERED)), self._port)

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Why waiting is pointless: there is no unit, or another process has its port."""
        unit = self.seen(world).unit
        if unit is None:
            return why_unknown(world, [self.key(UNIT)]) or (ENDED,)
        if not unit.leader:
            return (unit.ended or f"{ENDED}, and left processes behind",)
        return self._strangers(world)

    def outcome(self, world: Observed) -> Observed:
        """The world with an engine that answered."""
        unit = self.seen(world).unit
        if unit is None:
            return world
        owner = PortOwner(pid=unit.identity.pid, name=self.model, model=self.model)
        return world.predicting(
            self.kind,
            {
                self.key(HEALTH): Health(phase="ready", identity=unit.identity),
                self.key(ANSWERED): Answer(identity=unit.identity),
                self._port: PortState(owner=owner),
            },
        )

    def holds(self, world: Observed) -> bool:
        """Whether this very unit answered over its own port."""
        unit = self.seen(world).unit
        if unit is None or not unit.leader:
            return False
        return self.owns_port(self.port, world) and self._works(unit, world)

    def cannot_succeed_reason(self, world: Observed) -> str:
        """That the unit died, or that another process has its port."""
        return "; ".join(self.blockers(world)) if world.unknown(self.key(UNIT)) is None else ""

    @property
    def _port(self) -> AnyFactKey:
        return PORT(self.host, self.port)

    def _strangers(self, world: Observed) -> tuple[str, ...]:
        health = self.seen(world).health
        if health is None or health.phase != "stranger":
            return ()
        return (f"{self.key(HEALTH)}: {health.message}",)

    def _works(self, unit: Unit, world: Observed) -> bool:
        health, answer = self.seen(world).health, self.seen(world).answer
        if health is None or not health.serves:
            return False
        answered = answer is not None and answer.identity == unit.identity
        # Without its key nothing can be asked of a locked engine: that it lives is all there is to
        # see (ADR 0018).
        return answered or health.phase == "locked"
