"""The step `start`."""

from __future__ import annotations

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
from reconciler.steps.step import PREDICTED_IDENTITY, ModelStep


class Start(ModelStep):
    """Start a unit.

    Refuses a port that somebody holds, a missing program or missing weights, and a host that is not
    up.
    """

    ensures: ClassVar[str] = "the unit runs with the wanted digest"
    in_doubt: ClassVar[InDoubt] = "observable"
    starts: ClassVar[bool] = True

    kind: Literal["start"] = "start"
    deadline: float = 30.0
    port: int
    digest: str

    @property
    def wanted_digest(self) -> str:
        """The digest of the command."""
        return self.digest

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Return unit, port, program, weights, what a conversation will depend on, power, and what a fresh process changes."""
        mine = tuple(
            self.key(kind) for kind in (UNIT, BINARY, FLAGS, WEIGHTS, FINGERPRINT, HEALTH, ACTIVITY)
        )
        return (*mine, self._port, POWER(self.host))

    def looks(self, world: Observed) -> tuple[AnyFactKey, ...]:
        """Return what a fresh process changes, and the host's power.

        Its program and files were looked at before.
        """
        _ = world
        return (
            *(self.key(kind) for kind in (UNIT, HEALTH, ACTIVITY)),
            self._port,
            POWER(self.host),
        )

    def needs(self) -> tuple[AnyFactKey, ...]:
        """Return the facts without which starting could harm: two units, or a port taken from somebody."""
        return (self.key(UNIT), self._port, POWER(self.host))

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Return everything that would make the start fail or harm."""
        return tuple(reason for reason in (*self._occupied(world), *self._missing(world)) if reason)

    def outcome(self, world: Observed) -> Observed:
        """Return the world with a fresh unit that is loading."""
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
        """Return what the unit is marked with: while it runs, its definition may change, and its own is then nowhere else."""
        weights, fingerprint = world.value(self.key(WEIGHTS)), world.value(self.key(FINGERPRINT))
        kept = (
            fingerprint if fingerprint and weights and weights.keepable else Fingerprint(digest="")
        )
        return Mark(
            controller=controller,
            model=self.model,
            digest=self.digest,
            port=self.port,
            slots=kept.slots,
            fingerprint=kept.digest,
        )

    def holds(self, world: Observed) -> bool:
        """Return whether a unit of the wanted digest lives."""
        unit = world.value(self.key(UNIT))
        return unit is not None and unit.leader and unit.mark.digest == self.digest

    def cannot_succeed_reason(self, world: Observed) -> str:
        """Return that the unit is gone already: a launcher returns once it runs."""
        key = self.key(UNIT)
        gone = world.unknown(key) is None and world.value(key) is None
        return "it exited at once, or was never started" if gone else ""

    @property
    def _port(self) -> AnyFactKey:
        return PORT(self.host, self.port)

    def _occupied(self, world: Observed) -> tuple[str, ...]:
        reasons: list[str] = []
        unit = world.value(self.key(UNIT))
        if unit is not None and not self.holds(world):
            reasons.append(f"{self.key(UNIT)}: still there (pid {unit.identity.pid})")
        state = world.value(self._port)
        if state is not None and state.owner is not None and state.owner.model != self.model:
            service = f", {state.owner.service.name}" if state.owner.service else ""
            held = (
                f"port {self.port} is held by {state.owner.name} (pid"
                f" {state.owner.pid or 'unknown'}{service})"
            )
            reasons.append(
                f"{held}; {state.owner.remedy}, or give {self.model} another port: in the inventory"
            )
        return tuple(reasons)

    def _missing(self, world: Observed) -> tuple[str, ...]:
        binary = world.value(self.key(BINARY))
        flags = world.value(self.key(FLAGS))
        weights = world.value(self.key(WEIGHTS))
        power = world.power(self.host)
        return (
            self._mending(binary.problem) if binary else "",
            self._mending(flags.problem) if flags else "",
            self._mending(weights.problem) if weights else "",
            "" if power == "on" else f"host {self.host} is {power}",
        )

    def _mending(self, problem: str) -> str:
        return f"{problem} (fix it, or what inventory.yaml says of {self.model})" if problem else ""
