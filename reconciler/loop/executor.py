"""Executor: carry out one plan. Intent, effect, observation, record; a driver's word decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anyio

from reconciler.core import words
from reconciler.effects import (
    await_healthy,
    await_vram,
    drain,
    prefetch,
    restore_slots,
    save_slots,
    shutdown,
    start,
    stop,
    suspend,
    wake,
)
from reconciler.effects.effect import FAILED, MISSED, Acting
from reconciler.errors import DurabilityError, ReconcilerError
from reconciler.loop.observer import Observer
from reconciler.loop.progress import Progress
from reconciler.model.facts import Fact, FactKey, FactValue, Known, Observed, Unit
from reconciler.model.records import StepDone, StepIntent
from reconciler.model.spec import Slice
from reconciler.ports import Clock, Evidence, HostPorts, Journal
from reconciler.steps.plan import AnyStep, HostPlan, PlannedStep
from reconciler.steps.step import ModelStep

PERFORM: dict[str, Callable[..., Any]] = {
    module.__name__.rpartition(".")[2]: module.perform
    for module in (
        await_healthy, await_vram, drain, prefetch, restore_slots, save_slots, shutdown, start, stop, suspend, wake,
    )
}  # fmt: skip
SLACK_SECONDS = 30.0
DOUBT_SECONDS = 2.0
FRESH_SECONDS = 0.2
MOST_STARTS = 3
MOST_GIVEN_UP = 2
"""What is best left undone is tried once more by the next plan of a run, and then left."""

GROWTH = 1.1

Way: TypeAlias = Literal["back", "superseded", "left"]
Outcome: TypeAlias = Literal["done", "skipped", "gave-up", "failed", "missed", "cancelled"]


@dataclass
class Interrupt:
    """Ask a run to end its wait. `reason` is empty while nobody asked.

    Then it goes `back` to last good, is `superseded` as far as it came by another run, or is `left` open in the journal.
    """

    reason: str = ""
    way: Way = "back"

    def cut(self, reason: str, way: Way) -> None:
        """Ask, and say why; leaving comes before all else."""
        if not self.reason or way == "left":
            self.reason, self.way = reason, way


@dataclass(frozen=True)
class Ending:
    """Say how a plan ended: completed, or at which step and why not."""

    kind: Literal["completed", "missed", "failed", "interrupted"]
    step: AnyStep | None = None
    message: str = ""


@dataclass
class Executor:
    """Execute plans of one run on one host. `say` is told what is being done."""

    ports: HostPorts
    observer: Observer
    journal: Journal
    clock: Clock
    controller: str
    slice: Slice
    run: int
    interrupt: Interrupt
    say: Callable[[str], None]
    number: int = 0
    torn_down: bool = False
    started: Counter[str] = field(default_factory=Counter)
    gave_up: Counter[tuple[str, str]] = field(default_factory=Counter)

    def left(self, plan: HostPlan) -> tuple[PlannedStep, ...]:
        """Return the steps of a plan that were not given up for good in this run."""
        return tuple(one for one in plan.steps if self.gave_up[one.step.kind, _model(one.step)] < MOST_GIVEN_UP)

    async def execute(self, plan: HostPlan, world: Observed) -> Ending:
        """Carry out all steps in order, up to the first that does not work out."""
        for planned in self.left(plan):
            if self.interrupt.reason:
                return Ending("interrupted", planned.step, self.interrupt.reason)
            ending, world = await self._step(planned, world)
            if ending is not None:
                return ending
        return Ending("completed")

    async def _step(self, planned: PlannedStep, world: Observed) -> tuple[Ending | None, Observed]:
        step = planned.step
        self.number += 1
        began = self.clock.boot()
        world = await self.observer.look([key for key in step.reads() if self._is_old(world.fact(key))], world)
        if step.skippable and step.sightings == 1 and step.holds(world):
            self._record(step, "skipped", began, world)
            return None, world
        if step.kind == "start" and self.started[step.model] >= MOST_STARTS:
            return Ending("failed", step, f"it was started {MOST_STARTS} times in this run, and was gone each time"), world
        reasons = step.blocked_by(world)
        if reasons and not self._may_go_on(step, world) and not self._started(step):
            return Ending("missed", step, "; ".join(reasons)), world
        self.journal.append(
            StepIntent(
                host=step.host,
                run=self.run,
                number=self.number,
                step=step.kind,
                model=_model(step),
                in_doubt=step.in_doubt,
            )
        )
        self.say(f"{step.kind} {step.target} ({planned.cause})")
        evidence, trouble = await self._perform(step, world)
        if MISSED in evidence:
            self._record(step, "missed", began, world, str(evidence[MISSED]))
            return Ending("missed", step, str(evidence[MISSED])), world
        world, outcome, message = await self._verify(planned, world, trouble)
        self.torn_down = self.torn_down or step.kind == "stop"
        if step.kind == "start" and outcome == "done":
            self.started[step.model] += 1
        self._record(step, outcome, began, world, message, evidence)
        return self._judge(step, outcome, message, world), world

    def _is_old(self, fact: Fact[FactValue]) -> bool:
        """Return whether a fact must be looked at again before it is acted upon; what an effect touches is read after it."""
        return not isinstance(fact, Known) or self.clock.boot() - fact.at > FRESH_SECONDS

    async def _perform(self, step: AnyStep, world: Observed) -> tuple[Evidence, str]:
        """Run the effect to its end; return its evidence and what went wrong, which alone decides nothing."""
        acting = Acting(self.ports, self.slice, self.controller, world, frozenset(self.gave_up))
        try:
            with anyio.fail_after(step.deadline + SLACK_SECONDS, shield=True):
                evidence: Evidence = await PERFORM[step.kind](step, acting)
        except TimeoutError:
            return {}, f"no answer within {step.deadline + SLACK_SECONDS:.0f} s"
        except DurabilityError:
            raise
        except ReconcilerError as error:
            return {}, error.message
        except Exception as error:  # noqa: BLE001 - whatever a driver does must end as a recorded failure, not as a dead loop
            return {}, f"{type(error).__name__}: {error}"
        failed = evidence.get(FAILED)
        return evidence, "; ".join(map(str, failed)) if isinstance(failed, list) else ""

    async def _verify(self, planned: PlannedStep, world: Observed, trouble: str) -> tuple[Observed, Outcome, str]:
        """Look until the postcondition is seen, hopeless, interrupted or late; an effect that broke off may still come."""
        step, progress = planned.step, Progress(planned, self.ports, self.clock, self.say)
        patience = DOUBT_SECONDS if trouble and step.in_doubt != "irreversible" else step.deadline
        until = self.clock.boot() + min(patience, step.deadline)
        pause, longest = step.poll
        doubt, sightings = "", 0
        while True:
            world = await self.observer.look(step.reads(), world)
            sightings = sightings + 1 if step.holds(world) else 0
            if sightings == step.sightings:
                return world, "done", trouble
            # A process that becomes another program shows no mark for a moment: what is hopeless is seen twice.
            before, doubt = doubt, step.hopeless(world)
            hopeless = doubt if before else ""
            if hopeless or self.clock.boot() >= until:
                late = f"not so after {step.deadline:.0f} s: " + (
                    "; ".join(step.blocked_by(world)) or words.seen(step.reads(), world)
                )
                return world, "failed", trouble or hopeless or late
            if self.interrupt.reason:
                return world, "cancelled", self.interrupt.reason
            await progress.tell()
            await self.clock.sleep(min(pause, max(0.0, until - self.clock.boot())))
            pause = min(pause * GROWTH, longest)

    def _judge(self, step: AnyStep, outcome: Outcome, message: str, world: Observed) -> Ending | None:
        if outcome == "cancelled":
            return Ending("interrupted", step, message)
        if outcome in {"done", "skipped", "gave-up"}:
            return None
        required = step.kind == "save_slots" and step.required
        if not required and (step.best_effort or step.kind == "save_slots" or self._may_go_on(step, world)):
            self.gave_up[step.kind, _model(step)] += 1
            self.say(f"{step.kind} {step.target}: went on without it: {message}")
            return None
        return Ending("failed", step, message)

    def _may_go_on(self, step: AnyStep, world: Observed) -> bool:
        """Return whether starting beats waiting: the memory cannot be read any more, after something was stopped."""
        return step.kind == "await_vram" and self.torn_down and any(world.unknown(key) for key in step.reads())

    def _started(self, step: AnyStep) -> bool:
        """Return whether this run started what is waited for: one that is gone by now has failed, and is not started anew."""
        return step.kind == "await_healthy" and step.model in self.started

    def _record(
        self,
        step: AnyStep,
        outcome: Outcome,
        began: float,
        world: Observed,
        message: str = "",
        evidence: Evidence | None = None,
    ) -> None:
        unit = world.value(FactKey("unit", step.host, _model(step)), Unit)
        gives_up = outcome == "failed" and (step.best_effort or (step.kind == "save_slots" and not step.required))
        self.journal.append(
            StepDone(
                host=step.host,
                run=self.run,
                number=self.number,
                step=step.kind,
                model=_model(step),
                outcome="gave-up" if gives_up else outcome,
                message=message,
                seconds=round(self.clock.boot() - began, 3),
                evidence=evidence or {},
                identity=unit.identity if unit else None,
            )
        )


def _model(step: AnyStep) -> str:
    return step.model if isinstance(step, ModelStep) else ""
