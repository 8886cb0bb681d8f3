"""How requests are let through to a model, and held back from it."""

from __future__ import annotations

from reconciler.core.recipes.draft import Recipe, StepDraft
from reconciler.model.change import AdmitChange, StopChange
from reconciler.model.observed import Observed
from reconciler.model.sight import ModelSight
from reconciler.steps.admit import Admit
from reconciler.steps.hold_requests import HoldRequests

UNKNOWN_PLACES = 4
QUEUED = 2
"""How many requests an engine is given beyond its slots, so that none of them is ever idle.

A llama-server takes no more connections at once than its slots and four (b11549): with all of them
taken it answers nobody who asks how it is, for 3.8 s where 6 clients kept theirs open.
"""


def admit_recipe(change: AdmitChange, observed: Observed) -> Recipe:
    """The step that lets requests through, after all that the model waits for."""
    after = (("restore_slots", change.model), ("await_healthy", change.model))
    return Recipe((StepDraft(admit_step(change, observed), change.cause, after=after),))


def admit_step(change: AdmitChange, observed: Observed) -> Admit:
    """The step alone."""
    fingerprint = ModelSight(observed, change.host, change.model).fingerprint
    places = fingerprint.places if fingerprint is not None else 0
    at_once = (places or UNKNOWN_PLACES) + QUEUED
    return Admit(host=change.host, model=change.model, port=change.port, at_once=at_once)


def hold_recipe(change: StopChange, observed: Observed) -> Recipe:
    """The step that holds requests back, where any could come."""
    gate = ModelSight(observed, change.host, change.model).admitting
    if gate is None or gate.identity is None:
        return Recipe(())
    step = HoldRequests(host=change.host, model=change.model)
    return Recipe((StepDraft(step, change.cause),))
