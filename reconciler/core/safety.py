"""Safety: what must be true in every world that a plan passes through."""

from __future__ import annotations

from collections import Counter

from reconciler.model.observed import UNIT, Observed
from reconciler.model.spec import Slice


def violations(world: Observed, slice_: Slice) -> tuple[str, ...]:
    """Return what is wrong with a world, nothing when it is safe to be in."""
    host = slice_.host.name
    units = {model.name: world.value(UNIT(host, model.name)) for model in slice_.models}
    running = [(model, unit) for model in slice_.models if (unit := units[model.name]) is not None]
    found: list[str] = []
    power = world.power(host)
    if running and power in {"off", "suspended"}:
        found.append(f"{host} would be {power} with {running[0][0].name} on it")
    # The mark says where a unit listens; its definition may name another port by now (ADR 0013).
    ports = Counter(unit.mark.port or model.port for model, unit in running)
    found += [
        f"two units would share port {port} of {host}"
        for port, count in sorted(ports.items())
        if count > 1
    ]
    return tuple(found)
