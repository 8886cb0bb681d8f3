"""The step `start`."""

from typing import ClassVar, Literal

from reconciler.model.facts import Activity, Fingerprint, Health, Mark, Unit
from reconciler.model.observed import (
    ACTIVITY,
    BINARY,
    FINGERPRINT,
    FLAGS,
    HEALTH,
    PORT,
    POWER,
    UNIT,
    WEIGHTS,
    AnyFactKey,
    Observed,
)
from reconciler.model.onhost import InDoubt
from reconciler.model.place import Door
from reconciler.model.reason import Reason
from reconciler.steps.step import PREDICTED_IDENTITY, ModelStep


class Start(ModelStep):
    """The start of a unit.

    It refuses a port that is taken, a missing program or weights, and a host that is not up.
    """

    ensures: ClassVar[str] = "the unit runs with the wanted digest"
    in_doubt: ClassVar[InDoubt] = "observable"
    starts: ClassVar[bool] = True

    kind: Literal["start"] = "start"
    deadline: float = 30.0
    port: Door
    digest: str

    @property
    def wanted_digest(self) -> str:
        """The digest of the command."""
        return self.digest

    def reads(self) -> tuple[AnyFactKey, ...]:
        """All that a start depends on, and what a fresh process changes."""
        mine = tuple(
            self.key(kind) for kind in (UNIT, BINARY, FLAGS, WEIGHTS, FINGERPRINT, HEALTH, ACTIVITY)
        )
        return (*mine, self._port, POWER(self.host))

    def looks(self, world: Observed) -> tuple[AnyFactKey, ...]:
        """What a fresh process changes, and the host's power."""
        _ = world
        # Its program and files were looked at before.
        return (
            *(self.key(kind) for kind in (UNIT, HEALTH, ACTIVITY)),
            self._port,
            POWER(self.host),
        )

    def needs(self) -> tuple[AnyFactKey, ...]:
        """Those without which starting could harm: a second unit, or a port taken from another."""
        return (self.key(UNIT), self._port, POWER(self.host))

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Everything that would make the start fail or harm."""
        reasons = (self._still_there(world), self._port_taken(world), *self._missing(world))
        return tuple(reason for reason in reasons if reason)

    def outcome(self, world: Observed) -> Observed:
        """The world with a fresh unit that is loading."""
        unit = Unit(identity=PREDICTED_IDENTITY, mark=self.mark("", world), members=(), uptime=0.0)
        return world.predicting(
            self.kind,
            {
                self.key(UNIT): unit,
                self.key(HEALTH): Health(phase="loading", identity=PREDICTED_IDENTITY),
                self.key(ACTIVITY): Activity(identity=PREDICTED_IDENTITY),
            },
        )

    def mark(self, controller: str, world: Observed) -> Mark:
        """What the unit carries with it about itself."""
        # While it runs its definition may change, and its own is then nowhere else (ADR 0013).
        kept = self._dependence(world)
        return Mark(
            controller=controller,
            model=self.model,
            digest=self.digest,
            port=self.port if isinstance(self.port, int) else None,
            slots=kept.slots,
            fingerprint=kept.digest,
        )

    def holds(self, world: Observed) -> bool:
        """Whether a unit of the wanted digest lives."""
        unit = self.seen(world).unit
        return unit is not None and unit.leader and unit.mark.digest == self.digest

    def cannot_succeed_reason(self, world: Observed) -> str:
        """That the unit is gone already: a launcher returns once it runs."""
        return "it exited at once, or was never started" if self.seen(world).is_gone else ""

    @property
    def _port(self) -> AnyFactKey:
        return PORT(self.host, self.port)

    def _dependence(self, world: Observed) -> Fingerprint:
        """What its conversations will depend on, empty where they cannot be kept."""
        weights, fingerprint = self.seen(world).weights, self.seen(world).fingerprint
        keepable = weights is not None and weights.keepable
        return fingerprint if fingerprint and keepable else Fingerprint(digest="")

    def _still_there(self, world: Observed) -> str:
        unit = self.seen(world).unit
        if unit is None or self.holds(world):
            return ""
        return f"{self.key(UNIT)}: still there (pid {unit.identity.pid})"

    def _port_taken(self, world: Observed) -> str:
        state = world.value(self._port)
        owner = state.owner if state else None
        if owner is None or owner.model == self.model:
            return ""
        service = f", {owner.service.name}" if owner.service else ""
        return (
            f"port {self.port} is held by {owner.name} (pid {owner.pid or 'unknown'}{service});"
            f" {owner.remedy}, or give {self.model} another port: in the inventory"
        )

    def _missing(self, world: Observed) -> tuple[str, ...]:
        seen = self.seen(world)
        found = (seen.binary, seen.flags, seen.weights)
        problems = (self._to_fix(one.problem) for one in found if one and one.problem)
        power = world.power(self.host)
        return (*problems, "" if power == "on" else f"host {self.host} is {power}")

    def _to_fix(self, problem: str) -> str:
        if isinstance(problem, Reason) and problem.fix:
            return problem
        return f"{problem} (fix it, or what inventory.yaml says of {self.model})"
