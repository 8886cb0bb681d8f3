"""The step `await_healthy`."""

from __future__ import annotations

from typing import ClassVar, Literal

from reconciler.model.facts import Answer, Health
from reconciler.model.observed import ANSWERED, HEALTH, PORT, UNIT, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.port import PortOwner, PortState
from reconciler.steps.step import ModelStep

ENDED = "it exited while loading"


class AwaitHealthy(ModelStep):
    """Wait until an engine has shown that it works."""

    ensures: ClassVar[str] = (
        "the port answers, belongs to our unit, and gave one real answer of its task"
    )
    acts: ClassVar[bool] = False
    in_doubt: ClassVar[InDoubt] = "observable"
    awaits_start: ClassVar[bool] = True
    poll: ClassVar[tuple[float, float]] = (0.005, 0.25)

    kind: Literal["await_healthy"] = "await_healthy"
    deadline: float = 300.0
    port: int
    digest: str

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Return unit, port, health and the real answer."""
        return (*(self.key(kind) for kind in (UNIT, HEALTH, ANSWERED)), self._port)

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Return that there is nothing to wait for, or that somebody else has the port."""
        unit = world.value(self.key(UNIT))
        if unit is None:
            unknown = world.unknown(self.key(UNIT))
            return (f"{self.key(UNIT)}: {unknown.reason}" if unknown else ENDED,)
        if not unit.leader:
            return (unit.ended or f"{ENDED}, and left processes behind",)
        health = world.value(self.key(HEALTH))
        return (
            (f"{self.key(HEALTH)}: {health.message}",)
            if health and health.phase == "stranger"
            else ()
        )

    def outcome(self, world: Observed) -> Observed:
        """Return the world with an engine that answered."""
        unit = world.value(self.key(UNIT))
        if unit is None:
            return world
        return world.predicting(
            self.kind,
            {
                self.key(HEALTH): Health(phase="ready", identity=unit.identity),
                self.key(ANSWERED): Answer(identity=unit.identity),
                self._port: PortState(
                    owner=PortOwner(pid=unit.identity.pid, name=self.model, model=self.model)
                ),
            },
        )

    def holds(self, world: Observed) -> bool:
        """Return whether this very unit answered over its own port.

        One that lets nobody look cannot do more than live.
        """
        unit = world.value(self.key(UNIT))
        health = world.value(self.key(HEALTH))
        answer = world.value(self.key(ANSWERED))
        state = world.value(self._port)
        owner = state.owner if state else None
        if (
            unit is None
            or not unit.leader
            or health is None
            or owner is None
            or owner.model != self.model
        ):
            return False
        answered = answer is not None and answer.identity == unit.identity
        return health.serves and (answered or health.phase == "locked")

    def cannot_succeed_reason(self, world: Observed) -> str:
        """Return that the unit died, or that somebody else has its port."""
        return "; ".join(self.blockers(world)) if world.unknown(self.key(UNIT)) is None else ""

    @property
    def _port(self) -> AnyFactKey:
        return PORT(self.host, self.port)
