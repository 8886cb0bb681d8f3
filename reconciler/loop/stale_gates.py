"""Stale gates: those that stand open for a unit which is gone.

Its port may be anyone's by now, or that of another model: requests must not find that out first.
"""

from __future__ import annotations

from reconciler.model.observed import ADMITTING, UNIT, Observed
from reconciler.model.spec import Slice
from reconciler.ports import Gate

ENDED = "its engine has ended, or another has taken its place"


async def close(gate: Gate, slice_: Slice, observed: Observed) -> None:
    """Close each gate of a host whose unit is certainly not there any more."""
    # No step: it is one of those things that are right at once, whatever the plan is.
    for model in slice_.models:
        if _is_stale(slice_.host.name, model.name, observed):
            await gate.hold(model.name, ENDED)


def _is_stale(host: str, model_name: str, observed: Observed) -> bool:
    admitting = observed.value(ADMITTING(host, model_name))
    if admitting is None or admitting.identity is None or observed.unknown(UNIT(host, model_name)):
        return False
    unit = observed.value(UNIT(host, model_name))
    # Of a leader that has ended, helpers may be left: they answer nothing.
    return unit is None or not unit.leader or unit.identity != admitting.identity
