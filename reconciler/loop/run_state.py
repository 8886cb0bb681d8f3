"""Run state: one run on one host, and what it remembers from one of its plans to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from reconciler.core import conversations
from reconciler.loop.context import HostContext
from reconciler.loop.observer import Observer
from reconciler.model.observed import Observed
from reconciler.model.spec import Slice
from reconciler.ports import HostPorts
from reconciler.steps.plan import AnyStep, HostPlan, PlannedStep
from reconciler.steps.step import ModelStep

MOST_GIVEN_UP = 2
"""What is best left undone is tried once more by the next plan of a run, and then left."""


@dataclass
class RunState:
    """One run: its number in the journal, its definitions, and what came of its steps so far.

    Clients of a model are waited for until one moment of the run, however often a save finds that
    they use it again. A trial of this run must prove the `unproven` models, which it started or
    waited for, and those that it `restored`.
    """

    context: HostContext
    slice: Slice
    run: int
    ports: HostPorts
    observer: Observer
    number: int = 0
    torn_down: bool = False
    started: Counter[str] = field(default_factory=Counter)
    gave_up: Counter[tuple[str, str]] = field(default_factory=Counter)
    undrained: set[str] = field(default_factory=set)
    unproven: set[str] = field(default_factory=set)
    restored: set[str] = field(default_factory=set)
    drained_until: dict[str, float] = field(default_factory=dict)
    promised: dict[str, int] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    not_restored: dict[tuple[str, int | None], str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the run: which conversations were lost or did not return."""
        lost = [conversations.lost(name, count) for name, count in self.lost.items() if count]
        return (*lost, *filter(None, self.not_restored.values()))

    def left(self, plan: HostPlan) -> tuple[PlannedStep, ...]:
        """The steps of a plan that were not given up for good in this run."""
        return tuple(
            one
            for one in plan.steps
            if self.gave_up[one.step.kind, model_of(one.step)] < MOST_GIVEN_UP
        )

    def promise(self, steps: Sequence[PlannedStep]) -> None:
        """Remember how many conversations the first plan of the run said that it cannot keep."""
        for step in (planned.step for planned in steps):
            if step.expected_losses is not None:
                self.promised.setdefault(model_of(step), step.expected_losses)

    def give_up(self, step: AnyStep, message: str) -> None:
        """Remember that the run goes on without a step."""
        model_name = model_of(step)
        self.gave_up[step.kind, model_name] += 1
        if step.waits_for_clients:
            self.undrained.add(model_name)
        if step.puts_back:
            self.not_restored[model_name, None] = (
                f"{model_name}: not every saved conversation was put back: {message}"
            )

    def may_go_on(self, step: AnyStep, world: Observed) -> bool:
        """Whether starting beats waiting: something was stopped, and memory cannot be read now."""
        return self.torn_down and step.may_proceed_unknown(world)

    def has_started(self, step: AnyStep) -> bool:
        """Whether this run started what is waited for."""
        # One that is gone by now has failed, and is not started again.
        return step.awaits_start and model_of(step) in self.started


def model_of(step: AnyStep) -> str:
    """The model that a step is about, "" for one about a host."""
    return step.model if isinstance(step, ModelStep) else ""
