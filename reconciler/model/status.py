"""Status: what a person is told about hosts and models, as conditions."""

from __future__ import annotations

from typing import Literal, TypeAlias

from reconciler.model.names import Value

ConditionType: TypeAlias = Literal["Ready", "Reconciling", "Stalled", "Drifted"]


class Condition(Value):
    """State one thing about a subject, and why. `since` is wall clock seconds, of the journal row that last changed it."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    since: float | None = None
    observed_generation: int = 0


class ModelStatus(Value):
    """Describe one model of a host."""

    model: str
    wanted: bool | None
    phase: str
    conditions: tuple[Condition, ...]


class HostStatus(Value):
    """Describe one host: power, generation, what serves, what failed last with the engine's last words."""

    host: str
    power: str
    generation: int
    observed_generation: int
    conditions: tuple[Condition, ...]
    models: tuple[ModelStatus, ...]
    failure: str = ""
    log: tuple[str, ...] = ()


class Status(Value):
    """Describe everything that desired manages."""

    version: Literal[1] = 1
    hosts: tuple[HostStatus, ...]
