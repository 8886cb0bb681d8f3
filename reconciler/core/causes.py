"""Causes: why a model starts or stops, in the words of a plan."""

from __future__ import annotations

from reconciler.core import lending, phrases
from reconciler.core.power_change import POWER_STATES
from reconciler.core.recovery import Hints
from reconciler.core.wording import listed
from reconciler.model.observed import UNIT, Observed
from reconciler.model.spec import ModelSpec, Slice

CHANGES = "active model changes"


def stop_cause(wanted: Slice, model: ModelSpec, hints: Hints) -> str:
    """Why a model that runs should not."""
    if hints.idled is not None and not wanted.active:
        return phrases.IDLES
    if wanted.power in {"off", "suspend"}:
        return f"power should be {POWER_STATES[wanted.power]}"
    if not wanted.active:
        return "no model should be active"
    for guest in sorted(lending.rivals(wanted)[model.name].intersection(wanted.active)):
        if guest in hints.leases:
            return f"makes way for {guest}: {phrases.asked_for(hints.leases[guest])}"
    over = hints.let_go.get(model.name)
    return CHANGES if over is None else f"is lent no longer: {over}"


def waking_cause(model: ModelSpec, hints: Hints) -> str:
    """Why a model should run on a host that sleeps."""
    lease = hints.leases.get(model.name)
    return "host wakes" if lease is None else phrases.asked_for(lease)


def start_cause(wanted: Slice, model: ModelSpec, observed: Observed, hints: Hints) -> str:
    """Why a model that does not run should."""
    if model.name in hints.leases:
        return phrases.asked_for(hints.leases[model.name])
    host, active = wanted.host.name, wanted.active or ()
    others = [one.name for one in wanted.models if one.name not in active]
    running = [one for one in others if observed.value(UNIT(host, one)) is not None]
    guests = sorted(hints.let_go.keys() & running)
    if guests:
        return f"{listed(guests)} {'is' if len(guests) == 1 else 'are'} lent no longer"
    return CHANGES if running else "not running"
