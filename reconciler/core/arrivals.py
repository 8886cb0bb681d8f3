"""Arrivals: how long it takes until a model serves that does not, by what its steps took before."""

from __future__ import annotations

from reconciler.core import lending
from reconciler.core.recovery import Hints
from reconciler.model.spec import Slice

LOAD_STEPS = ("start", "await_healthy")
UNKNOWN_LOAD_SECONDS = 30.0
UNKNOWN_WAKE_SECONDS = 60.0


def load_seconds(slice_: Slice, hints: Hints, model_name: str) -> float | None:
    """How long it usually takes to bring a model in, None where it never was."""
    load = [hints.typical_seconds(step, model_name) for step in LOAD_STEPS]
    if None in load:
        return None
    rivals = lending.rivals(slice_)[model_name]
    stops = (hints.typical_seconds("stop", rival) or 0.0 for rival in rivals)
    return sum(filter(None, load)) + max(stops, default=0.0)


def arrivals(slice_: Slice, hints: Hints, *, wakes: bool) -> dict[str, float]:
    """In how many seconds each model of a host may serve, which `wakes` first where that is so."""
    # The journal knows a step about the host by no model.
    wake = hints.typical_seconds("wake", "") or UNKNOWN_WAKE_SECONDS if wakes else 0.0
    return {
        one.name: wake + (load_seconds(slice_, hints, one.name) or UNKNOWN_LOAD_SECONDS)
        for one in slice_.models
    }
