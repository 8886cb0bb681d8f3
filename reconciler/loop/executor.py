"""Executor: carry out one plan. Intent, effect, observation, record; a driver's word decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import anyio

from reconciler.core import conversations, phrases
from reconciler.core.recovery import SEEN
from reconciler.effects import (
    await_down,
    await_healthy,
    await_vram,
    drain,
    prefetch,
    prepare,
    restore_slots,
    save_slots,
    shutdown,
    start,
    stop,
    suspend,
    wake,
)
from reconciler.effects.effect import ACCEPTED, FAILED, LOST, MISSED, EffectContext
from reconciler.errors import Declined, DurabilityError, ReconcilerError
from reconciler.loop.observer import Observer
from reconciler.loop.progress import Progress
from reconciler.model.facts import Fact, Known
from reconciler.model.observed import CONTACT, POWER, UNIT, FactValue, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.records import ShutdownAccepted, StepDone, StepIntent
from reconciler.model.spec import Slice
from reconciler.ports import Clock, Evidence, HostPorts, Journal
from reconciler.steps.plan import AnyStep, HostPlan, PlannedStep
from reconciler.steps.save_slots import unsaved, used_since
from reconciler.steps.step import ModelStep

PERFORM: dict[str, Callable[..., Any]] = {
    module.__name__.rpartition(".")[2]: module.perform
    for module in (
        await_down, await_healthy, await_vram, drain, prefetch, prepare, restore_slots, save_slots, shutdown, start, stop,
        suspend, wake,
    )
}  # fmt: skip
SLACK_SECONDS = 30.0
DOUBT_SECONDS = 2.0
RETRIES = 3
"""How often an effect that failed is tried once more, where trying again is of use."""

FRESH_SECONDS = 0.2
MOST_STARTS = 3
MOST_GIVEN_UP = 2
"""What is best left undone is tried once more by the next plan of a run, and then left."""

GROWTH = 1.1

Way: TypeAlias = Literal["rollback", "late", "supersede", "detach"]
Outcome: TypeAlias = Literal["done", "skipped", "gave-up", "failed", "missed", "cancelled"]


@dataclass
class Interrupt:
    """Ask a run to end its wait. `reason` is empty while nobody asked.

    Then it is to `rollback` to last good, which a deadline asks for too (`late`), to `supersede`: end as far as it came, for
    another run, or to `detach`: stay open in the journal.
    """

    reason: str = ""
    way: Way = "rollback"

    @property
    def goes_back(self) -> bool:
        """Whether what was stopped for the run is to serve again."""
        return self.way in {"rollback", "late"}

    def request(self, reason: str, way: Way) -> None:
        """Ask, and say why; leaving comes before all else."""
        if not self.reason or way == "detach":
            self.reason, self.way = reason, way


@dataclass(frozen=True)
class Ending:
    """How a plan ended: completed, or at which step and why not. `unmet`: all works, and serves something else.

    The reasons that refuse a plan which is made again after a step (`of_plan`) name the steps that they are about themselves.
    """

    kind: Literal["completed", "missed", "failed", "interrupted", "busy", "unmet"]
    step: AnyStep | None = None
    message: str = ""
    of_plan: bool = False


class Came(NamedTuple):
    """Say what came of an effect, in its own words; what was `declined` did not happen, and nothing comes of it later."""

    evidence: Evidence
    trouble: str = ""
    declined: bool = False


@dataclass
class Executor:
    """Execute plans of one run on one host. `say` is told what is being done.

    Clients of a model are waited for until one moment of the run, however often a save finds that they use it again.
    """

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
    undrained: set[str] = field(default_factory=set)
    unproven: set[str] = field(default_factory=set)
    drained_until: dict[str, float] = field(default_factory=dict)
    promised: dict[str, int] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    not_restored: dict[tuple[str, int | None], str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a person should know of the run: conversations that were lost, and such as did not come back."""
        lost = (conversations.lost(model_name, count) for model_name, count in self.lost.items() if count)
        return (*lost, *(sentence for sentence in self.not_restored.values() if sentence))

    def left(self, plan: HostPlan) -> tuple[PlannedStep, ...]:
        """Return the steps of a plan that were not given up for good in this run."""
        return tuple(one for one in plan.steps if self.gave_up[one.step.kind, _model(one.step)] < MOST_GIVEN_UP)

    async def execute(self, plan: HostPlan, world: Observed) -> Ending:
        """Carry out all steps in order, up to the first that does not work out."""
        steps = self.left(plan)
        self._promise(steps)
        number = 0
        while number < len(steps):
            planned = steps[number]
            if self.interrupt.reason:
                return Ending("interrupted", planned.step, self.interrupt.reason)
            ending, world = await self._step(planned, world)
            if ending is None:
                number += 1
            elif ending.kind == "busy":
                number = _drain_of(planned.step.target, steps)
            else:
                return ending
        return Ending("completed")

    def _promise(self, steps: Sequence[PlannedStep]) -> None:
        """Remember of how many conversations the first plan of the run said that they cannot be kept."""
        for planned in steps:
            if planned.step.expected_losses is not None:
                self.promised.setdefault(_model(planned.step), planned.step.expected_losses)

    async def _step(self, planned: PlannedStep, world: Observed) -> tuple[Ending | None, Observed]:
        step = planned.step
        self.number += 1
        began = self.clock.boot()
        if step.waits_for_clients:
            self.drained_until.setdefault(_model(step), began + step.deadline)
        old = [key for key in step.reads() if key.kind in step.looks_anew_at or self._is_old(world.fact(key))]
        world = before = await self.observer.look(old, world)
        if step.skippable and step.sightings == 1 and step.holds(world):
            self._wait_for_trial(step)
            await self._record(step, "skipped", began, world, evidence=self._restored(step, world, {}))
            return None, world
        if step.starts and self.started[_model(step)] >= MOST_STARTS:
            return Ending("failed", step, f"it was started {MOST_STARTS} times in this run, and was gone each time"), world
        reasons = step.blocked_by(world)
        if reasons and not self._may_go_on(step, world) and not self._started(step):
            return Ending("missed", step, "; ".join(reasons)), world
        await self._intend(step, step.in_doubt)
        self.say(f"{step.kind} {step.target} ({planned.cause})")
        came = await self._perform(step, world)
        if MISSED in came.evidence:
            missed = str(came.evidence[MISSED])
            await self._record(step, "missed", began, world, missed)
            return Ending("missed", step, missed), world
        world, outcome, message = await self._verify(planned, world, came)
        if outcome == "failed" and self._is_in_use(step, before, world):
            await self._record(step, "missed", began, world, message, came.evidence)
            self.say(f"{step.kind} {step.target}: {message}; waiting for its clients once more")
            return Ending("busy", step, message), world
        self._wait_for_trial(step)
        self.torn_down = self.torn_down or step.tears_down
        if step.starts and outcome == "done":
            self.started[_model(step)] += 1
            self.unproven.add(_model(step))
        evidence = self._restored(step, world, self._counted(step, outcome, before, came.evidence))
        await self._record(step, outcome, began, world, message, evidence)
        return self._judge(step, outcome, message, world), world

    def _wait_for_trial(self, step: AnyStep) -> None:
        """Remember whom a trial of this run is still to prove: whoever was waited for, and also whoever another run started."""
        if step.awaits_start:
            self.unproven.add(_model(step))

    def _is_in_use(self, step: AnyStep, before: Observed, after: Observed) -> bool:
        """Return whether clients came between drain and save, and may still be waited for."""
        if not (isinstance(step, ModelStep) and step.needs_calm) or step.model in self.undrained:
            return False
        return self.clock.boot() < self.drained_until[step.model] and used_since(before, after, step)

    def _counted(self, step: AnyStep, outcome: Outcome, before: Observed, evidence: Evidence) -> Evidence:
        """Return the evidence of a stop with the slots that were lost in it, and count those."""
        if not isinstance(step, ModelStep) or step.expected_losses is None or outcome != "done":
            return evidence
        # A stop that broke off could not tell.
        left: Evidence = {} if evidence else {LOST: [slot.id for slot in unsaved(before, step)]}
        found = {**evidence, **left}
        ended = found.get(LOST)
        self.lost[step.model] += max(0, (len(ended) if isinstance(ended, list) else 0) - self.promised[step.model])
        return found

    async def _intend(self, step: AnyStep, in_doubt: InDoubt) -> None:
        intent = StepIntent(
            host=step.host, run=self.run, number=self.number, step=step.kind, model=_model(step), in_doubt=in_doubt
        )
        await self.journal.append(intent)

    def _restored(self, step: AnyStep, world: Observed, evidence: Evidence) -> Evidence:
        """Return the evidence of a restore with the slots that clients took before it, and note what did not come back."""
        if not step.puts_back:
            return evidence
        model_name = _model(step)
        tried = evidence.get("slots")
        slots: list[Any] = [*(tried if isinstance(tried, list) else []), *conversations.left_out(world, step.host, model_name)]
        self.not_restored |= {(model_name, one["slot"]): conversations.became(model_name, one) for one in slots}
        return {**evidence, "slots": slots} if slots else evidence

    def _is_old(self, fact: Fact[FactValue]) -> bool:
        """Return whether a fact must be looked at again before it is acted upon; what an effect touches is read after it."""
        return not isinstance(fact, Known) or self.clock.boot() - fact.at > FRESH_SECONDS

    async def _perform(self, step: AnyStep, world: Observed, attempt: int = 0) -> Came:
        """Run the effect to its end; return its evidence and what went wrong, which alone decides nothing."""
        acting = EffectContext(self.ports, self.slice, self.controller, world, frozenset(self.gave_up), attempt)
        try:
            with anyio.fail_after(step.deadline + SLACK_SECONDS, shield=True):
                evidence: Evidence = await PERFORM[step.kind](step, acting)
        except TimeoutError:
            return Came({}, f"no answer within {step.deadline + SLACK_SECONDS:.0f} s")
        except DurabilityError:
            raise
        except ReconcilerError as error:
            return Came({}, error.message, declined=isinstance(error, Declined))
        except Exception as error:  # noqa: BLE001 - whatever a driver does must end as a recorded failure, not as a dead loop
            return Came({}, f"{type(error).__name__}: {error}")
        if ACCEPTED in evidence:
            await self.journal.append(ShutdownAccepted(host=step.host, run=self.run, boot_id=str(evidence[ACCEPTED])))
        failed = evidence.get(FAILED)
        return Came(evidence, "; ".join(map(str, failed)) if isinstance(failed, list) else "")

    async def _verify(self, planned: PlannedStep, world: Observed, came: Came) -> tuple[Observed, Outcome, str]:
        """Look until the postcondition is seen, hopeless, interrupted or late; an effect that broke off may still come."""
        step, progress = planned.step, Progress(planned, self.ports, self.clock, self.say)
        doubtful = came.trouble and step.in_doubt != "irreversible"
        patience = 0.0 if came.declined else (step.again or 0) * RETRIES + DOUBT_SECONDS if doubtful else step.deadline
        began, trouble = self.clock.boot(), came.trouble
        until = self.drained_until[_model(step)] if step.waits_for_clients else began + min(patience, step.deadline)
        pause, longest = step.poll
        doubt, sightings, attempt = "", 0, 0
        if not step.looks_at_once:
            await self.clock.sleep(min(pause, max(0.0, until - began)))
        while True:
            world = await self.observer.look(step.reads(), world)
            sightings = sightings + 1 if step.holds(world) else 0
            if sightings == step.sightings:
                return world, "done", trouble
            # A process that becomes another program shows no mark for a moment: what is hopeless is seen twice.
            before, doubt = doubt, step.cannot_succeed_reason(world)
            hopeless = doubt if before else ""
            if hopeless or self.clock.boot() >= until:
                return world, "failed", trouble or hopeless or _late(step, world)
            if self.interrupt.reason:
                return world, "cancelled", _cut_short(step, world, self.interrupt.reason, trouble)
            if step.again is not None and self.clock.boot() >= began + step.again * (attempt + 1):
                attempt += 1
                trouble = await self._again(step, world, attempt)
            await progress.tell(world)
            await self.clock.sleep(min(pause, max(0.0, until - self.clock.boot())))
            pause = min(pause * GROWTH, longest)

    async def _again(self, step: AnyStep, world: Observed, attempt: int) -> str:
        """Try an effect once more, and return what went wrong."""
        if step.ends_down:
            await self._intend(step, "irreversible")
            self.say(f"{step.kind} {step.target}: it hangs; its power is to be cut")
        return (await self._perform(step, world, attempt)).trouble

    def _judge(self, step: AnyStep, outcome: Outcome, message: str, world: Observed) -> Ending | None:
        if outcome == "cancelled":
            return Ending("interrupted", step, message)
        if outcome in {"done", "skipped", "gave-up"}:
            return None
        if step.gives_up or self._may_go_on(step, world):
            model_name = _model(step)
            self.gave_up[step.kind, model_name] += 1
            if step.waits_for_clients:
                self.undrained.add(model_name)
            if step.puts_back:
                self.not_restored[model_name, None] = f"{model_name}: not every saved conversation was put back: {message}"
            self.say(f"{step.kind} {step.target}: went on without it: {message}")
            return None
        return Ending("failed", step, message)

    def _may_go_on(self, step: AnyStep, world: Observed) -> bool:
        """Return whether starting beats waiting: the memory cannot be read any more, after something was stopped."""
        return self.torn_down and step.may_proceed_unknown(world)

    def _started(self, step: AnyStep) -> bool:
        """Return whether this run started what is waited for: one that is gone by now has failed, and is not started anew."""
        return step.awaits_start and _model(step) in self.started

    async def _record(
        self,
        step: AnyStep,
        outcome: Outcome,
        began: float,
        world: Observed,
        message: str = "",
        evidence: Evidence | None = None,
    ) -> None:
        unit = world.value(UNIT(step.host, _model(step)))
        power = world.value(POWER(step.host))
        seen: Evidence = {SEEN: power.because} if outcome == "done" and step.ends_down and power else {}
        gives_up = outcome == "failed" and step.gives_up
        await self.journal.append(
            StepDone(
                host=step.host,
                run=self.run,
                number=self.number,
                step=step.kind,
                model=_model(step),
                outcome="gave-up" if gives_up else outcome,
                message=message,
                seconds=round(self.clock.boot() - began, 3),
                evidence={**(evidence or {}), **seen},
                identity=unit.identity if unit else None,
            )
        )


def _drain_of(model_name: str, steps: Sequence[PlannedStep]) -> int:
    """Return the place of a model's drain."""
    return next(place for place, one in enumerate(steps) if one.step.waits_for_clients and one.step.target == model_name)


def _late(step: AnyStep, world: Observed) -> str:
    """Return what stands in the way of a step that took too long; of a host's power, what that is judged to be."""
    if step.ends_down:
        return f"not so after {step.deadline:.0f} s: {phrases.seen([POWER(step.host)], world)}"
    return f"not so after {step.deadline:.0f} s: " + ("; ".join(step.blocked_by(world)) or phrases.seen(step.reads(), world))


def _cut_short(step: AnyStep, world: Observed, reason: str, trouble: str) -> str:
    """Return why a wait was ended, and what had gone wrong, or why a host that was waited for could not be reached until then."""
    contact = CONTACT(step.host)
    silence = world.unknown(contact) if contact in step.reads() else None
    return "; ".join(filter(None, (reason, trouble or (silence.reason if silence else ""))))


def _model(step: AnyStep) -> str:
    return step.model if isinstance(step, ModelStep) else ""
