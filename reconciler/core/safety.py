"""Safety: what must be true in every world that a plan passes through."""

from __future__ import annotations

from collections import Counter

from reconciler.model.facts import FactKey, Observed, Unit
from reconciler.model.spec import Slice


def violations(world: Observed, slice_: Slice) -> tuple[str, ...]:
    """Return what is wrong with a world, nothing when it is safe to be in."""
    host = slice_.host.name
    running = [model for model in slice_.models if world.value(FactKey("unit", host, model.name), Unit) is not None]
    found: list[str] = []
    power = world.value(FactKey("power", host), str)
    if running and power in {"off", "suspended"}:
        found.append(f"{host} would be {power} with {running[0].name} on it")
    ports = Counter(model.port for model in running)
    found += [f"two units would share port {port} of {host}" for port, count in sorted(ports.items()) if count > 1]
    return tuple(found)
