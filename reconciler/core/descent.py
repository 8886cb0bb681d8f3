"""Descent: what is remembered of a host's way down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from reconciler.model.records import Row, SentDown, StepDone, StepIntent
from reconciler.steps.plan import STEPS

DOWN: Mapping[str, Literal["off", "suspended"]] = {"shutdown": "off", "suspend": "suspended"}
"""What a host is after each step that shuts it down or suspends it."""

ENDS_DOWN = {kind for kind, step in STEPS.items() if step.ends_down}
"""The steps that end when a host is observed to be down."""

SEEN = "seen"
"""The key of a step's evidence that says how a host was observed to be down."""


def sent_after(before: SentDown | None, row: Row, record: StepIntent) -> SentDown | None:
    """What is remembered of a host's way down after an intent."""
    state = DOWN.get(record.step)
    if state is None:
        return before
    # Cutting its power is part of the same way down.
    if before is not None and before.run == record.run and before.is_heard:
        return before
    return SentDown(state=state, run=record.run, asked=row.when)


def arrived_after(sent: SentDown | None, record: StepDone) -> SentDown | None:
    """What is remembered of a host's way down once a step about its power has ended."""
    has_ended = record.outcome in {"done", "skipped"}
    if record.step == "wake" and has_ended:
        return None
    if record.step not in ENDS_DOWN or sent is None:
        return sent
    if has_ended:
        return sent.model_copy(update={"seen": str(record.evidence.get(SEEN, ""))})
    # A host that accepted may still go down after the wait for it is over (ADR 0009).
    return sent if sent.is_heard else None
