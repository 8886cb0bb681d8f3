"""Ordering: a stable order of steps, and what each one waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.core.recipes.draft import DraftKey, StepDraft
from reconciler.steps.plan import PlannedStep

# The order of a plan, one step after the other: every point at which it may be cut short can be
# tried (ADR 0002).
PHASES = (
    "wake", "prepare", "prefetch", "hold_requests", "drain", "save_slots", "stop", "await_vram",
    "start", "await_healthy", "restore_slots", "admit", "suspend", "shutdown", "await_down",
)  # fmt: skip


def order(drafts: Iterable[StepDraft]) -> tuple[PlannedStep, ...]:
    """The drafts by phase, then by target, numbered from 1.

    Two drafts of the same key are one step.
    """
    unique = {draft.key: draft for draft in drafts}
    ordered = sorted(unique.values(), key=_place)
    numbers = {draft.key: number for number, draft in enumerate(ordered, start=1)}
    return tuple(
        PlannedStep(
            number=numbers[draft.key],
            step=draft.step,
            cause=draft.cause,
            note=draft.note,
            after=_after(draft, numbers),
        )
        for draft in ordered
    )


def _place(draft: StepDraft) -> tuple[int, str]:
    return PHASES.index(draft.step.kind), draft.step.target


def _after(draft: StepDraft, numbers: Mapping[DraftKey, int]) -> tuple[int, ...]:
    """The numbers of what a draft waits for."""
    earlier = {key: number for key, number in numbers.items() if number < numbers[draft.key]}
    waits = {number for key, number in earlier.items() if _waits_for(draft, key)}
    # To wait for memory is to wait for the stops before it.
    vram = {number for key, number in numbers.items() if key[0] == "await_vram"}
    return tuple(sorted(waits & vram or waits))


def _waits_for(draft: StepDraft, key: DraftKey) -> bool:
    """Whether a draft names this step, or by an empty target every step of its kind."""
    kind, target = key
    return (kind, target) in draft.after or (kind, "") in draft.after
