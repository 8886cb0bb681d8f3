"""Safety: what must be true in every world that a plan passes through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from reconciler.model.observed import UNIT, Observed
from reconciler.model.place import Door
from reconciler.model.spec import ModelSpec, Slice


def violations(world: Observed, slice_: Slice) -> tuple[str, ...]:
    """What is wrong with a world, nothing when it is safe to be in."""
    host, power = slice_.host.name, world.power(slice_.host.name)
    ports = {model.name: port for model in slice_.models if (port := _port(world, host, model))}
    found: list[str] = []
    if ports and power in {"off", "suspended"}:
        found.append(f"{host} would be {power} with {next(iter(ports))} on it")
    found += [f"two units would share port {port} of {host}" for port in _shared(ports.values())]
    return tuple(found)


def _shared(ports: Iterable[Door]) -> list[Door]:
    return sorted((port for port, count in Counter(ports).items() if count > 1), key=str)


def _port(world: Observed, host: str, model: ModelSpec) -> Door | None:
    """The port of a model's unit, None where none runs."""
    unit = world.value(UNIT(host, model.name))
    if unit is None:
        return None
    # The mark says where a unit listens; its definition may name another port by now (ADR 0013).
    return model.door_at(unit.mark.port)
