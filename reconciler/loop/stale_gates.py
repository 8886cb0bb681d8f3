"""Stale gates: those that stand open for a unit which is gone, or has lost its port.

That port may be anyone's by now, or that of another model: requests must not find that out first.
"""

from __future__ import annotations

from reconciler.model.observed import Observed
from reconciler.model.sight import ModelSight
from reconciler.model.spec import Slice
from reconciler.ports import Gate

ENDED = "its engine has ended, or another has taken its place"
TAKEN = "another program listens on its port"


async def close(gate: Gate, slice_: Slice, observed: Observed) -> None:
    """Close each gate of a host whose unit is certainly not there, or not on its port, any more."""
    # No step: it is one of those things that are right at once, whatever the plan is.
    for model in slice_.models:
        if because := _staleness(ModelSight(observed, slice_.host.name, model.name)):
            await gate.hold(model.name, because)


def _staleness(seen: ModelSight) -> str:
    """Why a gate may not stand open, empty where it does not, or that is not certain."""
    gate, unit, health = seen.admitting, seen.unit, seen.health
    if gate is None or gate.identity is None:
        return ""
    if unit is None:
        return ENDED if seen.is_gone else ""
    # Of a leader that has ended, helpers may be left: they answer nothing.
    if not unit.leader or unit.identity != gate.identity:
        return ENDED
    # A look takes time: an engine may have ended since its process was seen.
    return TAKEN if health is not None and health.phase == "stranger" else ""
