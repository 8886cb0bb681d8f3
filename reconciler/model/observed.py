"""What was observed of the world: facts under keys, each key tied to the type of its value."""

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
from reconciler.model.place import Door
from reconciler.model.port import PortState
from reconciler.model.power import Canary, Guards, Power, PowerState, Testimony
from reconciler.model.preparation import Prepared
from reconciler.model.traffic import Admitting, Traffic

V_co = TypeVar("V_co", covariant=True)
V = TypeVar("V")

FactKind: TypeAlias = Literal[
    "contact", "testimony", "canary", "power", "guards", "prepared", "claim", "gpu", "orphans",
    "unit", "port", "health", "answered", "activity", "saved", "weights", "binary", "flags",
    "fingerprint", "admitting", "traffic",
]  # fmt: skip

FactValue: TypeAlias = (
    Contact | Testimony | Canary | Power | Guards | Prepared | Claim | Gpu | tuple[Unit, ...]
    | Unit | PortState | Health | Answer | Activity | Saved | Weights | Binary | Flags
    | Fingerprint | Admitting | Traffic | None
)  # fmt: skip


class FactKey(NamedTuple, Generic[V_co]):
    """The address of one fact whose value is a V, made by the kinds below: `UNIT("box", "gemma3")`.

    `subject` is a model name or a port number on the host, empty for a fact of the whole host.
    """

    kind: FactKind
    host: str
    subject: str = ""

    def __str__(self) -> str:
        place = f"{self.host}/{self.subject}" if self.subject else self.host
        return f"{self.kind} {place}"


AnyFactKey: TypeAlias = FactKey[Any]


@dataclass(frozen=True, slots=True)
class HostFact(Generic[V_co]):
    """A kind of fact that there is once for each host."""

    kind: FactKind

    def __call__(self, host: str) -> FactKey[V_co]:
        """The key of this fact of one host."""
        return FactKey(self.kind, host)


@dataclass(frozen=True, slots=True)
class ModelFact(Generic[V_co]):
    """A kind of fact that there is for each model of a host."""

    kind: FactKind

    def __call__(self, host: str, model_name: str) -> FactKey[V_co]:
        """The key of this fact of one model."""
        return FactKey(self.kind, host, model_name)


@dataclass(frozen=True, slots=True)
class PortFact:
    """The kind of fact that there is for each port of a host."""

    def __call__(self, host: str, port: Door) -> FactKey[PortState]:
        """The key of what listens there."""
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
ADMITTING: ModelFact[Admitting] = ModelFact("admitting")
TRAFFIC: ModelFact[Traffic] = ModelFact("traffic")
PORT = PortFact()


NOT_OBSERVED = Unknown("not observed")


class Observed:
    """What is known of the world, key by key; a key that was not looked at is Unknown."""

    __slots__ = ("_facts",)

    def __init__(self, facts: Mapping[AnyFactKey, Fact[FactValue]] | None = None) -> None:
        # A copy: what was observed stays as it was, whatever becomes of the caller's mapping.
        self._facts: dict[AnyFactKey, Fact[FactValue]] = dict(facts or {})

    def __iter__(self) -> Iterator[AnyFactKey]:
        return iter(sorted(self._facts))

    def __contains__(self, key: AnyFactKey) -> bool:
        return key in self._facts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Observed) and self._facts == other._facts

    def __hash__(self) -> int:
        return hash(frozenset(self._facts))

    def fact(self, key: FactKey[V]) -> Fact[V | None]:
        """The fact under `key`, Unknown when it was not looked at."""
        return cast("Fact[V | None]", self._facts.get(key, NOT_OBSERVED))

    def value(self, key: FactKey[V]) -> V | None:
        """The known or predicted value under `key`, None where there is none or it is not known."""
        fact = self.fact(key)
        return None if isinstance(fact, Unknown) else fact.value

    def power(self, host: str) -> PowerState | None:
        """The known or predicted power of a host, None while it is not known."""
        power = self.value(POWER(host))
        return power.state if power is not None else None

    def unknown(self, key: AnyFactKey) -> Unknown | None:
        """The fact under `key` when it is Unknown, None otherwise."""
        fact = self.fact(key)
        return fact if isinstance(fact, Unknown) else None

    def seeing(self, changed: Mapping[AnyFactKey, Fact[FactValue]]) -> "Observed":
        """Put the facts of `changed` into a copy of this world."""
        return Observed({**self._facts, **changed})

    def predicting(self, by: str, changed: Mapping[AnyFactKey, FactValue]) -> "Observed":
        """Put the values of `changed` into a copy of this world, predicted by the step `by`."""
        return self.seeing({key: Predicted(value, by) for key, value in changed.items()})
