"""Drafts: steps before they have numbers, and what a change makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from reconciler.steps.plan import AnyStep

SLOWEST_SAVE = 50e6
SLOWEST_LOAD = 50e6
"""Bytes a second of the slowest disk that is waited for."""

SAVE_ALLOWANCE = 15.0
LOAD_ALLOWANCE = 120.0
"""Seconds that come on top of what the disk needs."""

DraftKey: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class StepDraft:
    """A step before it has a number. `after` names the drafts it waits for, those that exist."""

    step: AnyStep
    cause: str
    note: str = ""
    after: tuple[DraftKey, ...] = ()

    @property
    def key(self) -> DraftKey:
        """Kind and target, which are unique in one host's plan."""
        return (self.step.kind, self.step.target)


@dataclass(frozen=True)
class Recipe:
    """The drafts of one host or change, what a person should know, and why they must not run.

    `lost_conversations` is None when it is not known how many end.
    """

    drafts: tuple[StepDraft, ...]
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    lost_conversations: int | None = 0


def joined(parts: Iterable[Recipe]) -> Recipe:
    """Several recipes as one."""
    known = tuple(parts)
    return Recipe(
        tuple(draft for part in known for draft in part.drafts),
        tuple(note for part in known for note in part.notes),
        tuple(refusal for part in known for refusal in part.refusals),
        _sum(part.lost_conversations for part in known),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total
