"""Drafts: steps before they have numbers, and what a change makes of them."""

from __future__ import annotations

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
    """All drafts of one host, what a person should know, and how many conversations are lost (None: nobody can say)."""

    drafts: tuple[StepDraft, ...]
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    lost_conversations: int | None = 0
