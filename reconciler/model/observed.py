"""What was observed of the world: facts under keys, each key tied to the type of its value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast

from reconciler.model.facts import (
    Activity,
    Answer,
    Binary,
    Claim,
    Contact,
    Fact,
    Fingerprint,
    Flags,
    Health,
    Predicted,
    Saved,
    Unit,
    Unknown,
    Weights,
)
from reconciler.model.gpu import Gpu
from reconciler.model.port import PortState
from reconciler.model.power import Canary, Guards, Power, PowerState, Testimony
from reconciler.model.preparation import Prepared

V_co = TypeVar("V_co", covariant=True)
V = TypeVar("V")

FactKind: TypeAlias = Literal[
    "contact", "testimony", "canary", "power", "guards", "prepared", "claim", "gpu", "orphans",
    "unit", "port", "health", "answered", "activity", "saved", "weights", "binary", "flags",
    "fingerprint",
]  # fmt: skip

FactValue: TypeAlias = (
    Contact | Testimony | Canary | Power | Guards | Prepared | Claim | Gpu | tuple[Unit, ...] | Unit | PortState | Health | Answer
    | Activity | Saved | Weights | Binary | Flags | Fingerprint | None
)  # fmt: skip


class FactKey(NamedTuple, Generic[V_co]):
    """The address of one fact whose value is a V: its kind, the host, and on it a model name or a port number.

    Made by the kinds below: `UNIT("box", "gemma3")`.
    """

    kind: FactKind
    host: str
    subject: str = ""

    def __str__(self) -> str:
        """Return the key as people read it, such as `unit local/gemma3`."""
        return (
            f"{self.kind} {self.host}/{self.subject}"
            if self.subject
            else f"{self.kind} {self.host}"
        )


AnyFactKey: TypeAlias = FactKey[Any]


@dataclass(frozen=True, slots=True)
class HostFact(Generic[V_co]):
    """A kind of fact that there is once for each host."""

    kind: FactKind

    def __call__(self, host: str) -> FactKey[V_co]:
        """Return the key of this fact of a host."""
        return FactKey(self.kind, host)


@dataclass(frozen=True, slots=True)
class ModelFact(Generic[V_co]):
    """A kind of fact that there is for each model of a host."""

    kind: FactKind

    def __call__(self, host: str, model_name: str) -> FactKey[V_co]:
        """Return the key of this fact of a model."""
        return FactKey(self.kind, host, model_name)


@dataclass(frozen=True, slots=True)
class PortFact:
    """The kind of fact that there is for each port of a host."""

    def __call__(self, host: str, port: int) -> FactKey[PortState]:
        """Return the key of who listens there."""
        return FactKey("port", host, str(port))


CONTACT: HostFact[Contact] = HostFact("contact")
TESTIMONY: HostFact[Testimony] = HostFact("testimony")
CANARY: HostFact[Canary] = HostFact("canary")
POWER: HostFact[Power] = HostFact("power")
GUARDS: HostFact[Guards] = HostFact("guards")
PREPARED: HostFact[Prepared] = HostFact("prepared")
CLAIM: HostFact[Claim] = HostFact("claim")
GPU: HostFact[Gpu] = HostFact("gpu")
ORPHANS: HostFact[tuple[Unit, ...]] = HostFact("orphans")
UNIT: ModelFact[Unit] = ModelFact("unit")
HEALTH: ModelFact[Health] = ModelFact("health")
ANSWERED: ModelFact[Answer] = ModelFact("answered")
ACTIVITY: ModelFact[Activity] = ModelFact("activity")
SAVED: ModelFact[Saved] = ModelFact("saved")
WEIGHTS: ModelFact[Weights] = ModelFact("weights")
BINARY: ModelFact[Binary] = ModelFact("binary")
FLAGS: ModelFact[Flags] = ModelFact("flags")
FINGERPRINT: ModelFact[Fingerprint] = ModelFact("fingerprint")
PORT = PortFact()


class Observed:
    """What is known of the world, key by key; a key that nobody looked at is Unknown."""

    __slots__ = ("_facts",)

    def __init__(self, facts: Mapping[AnyFactKey, Fact[FactValue]] | None = None) -> None:
        """Hold a copy of `facts`."""
        self._facts: dict[AnyFactKey, Fact[FactValue]] = dict(facts or {})

    def __iter__(self) -> Iterator[AnyFactKey]:
        return iter(sorted(self._facts))

    def __contains__(self, key: AnyFactKey) -> bool:
        """Return whether somebody looked."""
        return key in self._facts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Observed) and self._facts == other._facts

    def __hash__(self) -> int:
        return hash(frozenset(self._facts))

    def fact(self, key: FactKey[V]) -> Fact[V | None]:
        """Return the fact under `key`, Unknown when nobody looked."""
        return cast("Fact[V | None]", self._facts.get(key, Unknown("not observed")))

    def value(self, key: FactKey[V]) -> V | None:
        """Return the known or predicted value under `key`, None where there is none or nobody can say."""
        fact = self.fact(key)
        return None if isinstance(fact, Unknown) else fact.value

    def power(self, host: str) -> PowerState | None:
        """Return the known or predicted power of a host, None while nobody can say."""
        power = self.value(POWER(host))
        return power.state if power is not None else None

    def unknown(self, key: AnyFactKey) -> Unknown | None:
        """Return the fact under `key` when it is Unknown."""
        fact = self.fact(key)
        return fact if isinstance(fact, Unknown) else None

    def seeing(self, changed: Mapping[AnyFactKey, Fact[FactValue]]) -> Observed:
        """Return this world with the facts of `changed` in place."""
        return Observed({**self._facts, **changed})

    def predicting(self, by: str, changed: Mapping[AnyFactKey, FactValue]) -> Observed:
        """Return this world with the values of `changed` as predictions of the step `by`."""
        return self.seeing({key: Predicted(value, by) for key, value in changed.items()})
