"""Step run: one step as intent, effect, looks and record; a driver's word decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import anyio

from reconciler.core import conversations, phrases
from reconciler.core.descent import SEEN
from reconciler.effects import (
    admit,
    await_down,
    hold_requests,
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
from reconciler.loop.card_memory import weighed
from reconciler.loop.progress import Progress
from reconciler.loop.run_end import RunEnd
from reconciler.loop.run_state import RunState, model_of
from reconciler.model.facts import Known
from reconciler.model.observed import CONTACT, POWER, UNIT, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.model.records import ShutdownAccepted, StepDone, StepIntent
from reconciler.ports import Evidence
from reconciler.steps.plan import AnyStep, PlannedStep
from reconciler.steps.save_slots import unsaved, used_since
from reconciler.steps.step import ModelStep

PERFORM: dict[str, Callable[..., Any]] = {
    module.__name__.rpartition(".")[2]: module.perform
    for module in (
        admit,
        await_down,
        hold_requests,
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
}
"""What carries out each kind of step that acts."""

SLACK_SECONDS = 30.0
DOUBT_SECONDS = 2.0
RETRIES = 3
"""How often an effect that failed is tried once more, where trying again is of use."""

FRESH_SECONDS = 0.2
MOST_STARTS = 3
GROWTH = 1.1

Outcome: TypeAlias = Literal["done", "skipped", "gave-up", "failed", "missed", "cancelled"]


class EffectEnd(NamedTuple):
    """What came of an effect, in its own words.

    What was `declined` did not happen, and nothing comes of it later.
    """

    evidence: Evidence
    trouble: str = ""
    declined: bool = False


class StepEnd(NamedTuple):
    """What was seen after an effect, and what that makes of the step."""

    world: Observed
    outcome: Outcome
    message: str = ""


class StepRun:
    """One step of a run, from the look before it to its record."""

    def __init__(self, planned: PlannedStep, state: RunState) -> None:
        state.number += 1
        self._planned, self._step, self._state = planned, planned.step, state
        self._context, self._number = state.context, state.number
        self._began = state.context.clock.boot()
        self._sightings, self._doubt = 0, ""
        self._tried: Evidence = {}
        if self._step.waits_for_clients:
            # Within one deadline of the run, however often its clients come back (ADR 0014).
            state.drained_until.setdefault(model_of(self._step), self._began + self._step.deadline)

    async def carry_out(self, world: Observed) -> tuple[RunEnd | None, Observed]:
        """Why the plan ends here, None when it goes on, and the world as it was seen last."""
        step, state = self._step, self._state
        world = before = await state.observer.look(self._stale(world), world)
        if step.skippable and step.sightings == 1 and step.holds(world):
            await self._skip(world)
            return None, world
        refusal = self._refusal(world)
        if refusal is not None:
            return refusal, world
        await self._intend(step.in_doubt)
        self._say(f" ({self._planned.cause})")
        effect = await self._perform(world)
        if MISSED in effect.evidence:
            return await self._missed(world, str(effect.evidence[MISSED])), world
        seen = await self._watch(world, effect)
        evidence = {**effect.evidence, **self._tried}
        if seen.outcome == "failed" and self._is_in_use(before, seen.world):
            return await self._busy(seen, evidence), seen.world
        await self._remember(seen, before, evidence)
        return self._judge(seen), seen.world

    async def _skip(self, world: Observed) -> None:
        self._await_trial()
        await self._record(StepEnd(world, "skipped"), self._restored(world, {}))

    def _stale(self, world: Observed) -> list[AnyFactKey]:
        """What must be looked at again before it is acted upon."""
        step, now = self._step, self._context.clock.boot()

        def is_stale(key: AnyFactKey) -> bool:
            fact = world.fact(key)
            return not isinstance(fact, Known) or now - fact.at > FRESH_SECONDS

        return [key for key in step.reads() if key.kind in step.looks_again_at or is_stale(key)]

    def _refusal(self, world: Observed) -> RunEnd | None:
        """Why the step may not run now."""
        step, state = self._step, self._state
        if step.starts and state.started[model_of(step)] >= MOST_STARTS:
            return RunEnd(
                "failed",
                step,
                f"it was started {MOST_STARTS} times in this run, and was gone each time",
            )
        reasons = step.blocked_by(world)
        if reasons and not state.may_go_on(step, world) and not state.has_started(step):
            return RunEnd("missed", step, "; ".join(reasons))
        return None

    async def _perform(self, world: Observed, attempt: int = 0) -> EffectEnd:
        """Run the effect to its end: what it says, which alone decides nothing."""
        if not self._step.acts:
            return EffectEnd({})
        seconds = self._step.deadline + SLACK_SECONDS
        try:
            with anyio.fail_after(seconds, shield=True):
                evidence = await self._effect(world, attempt)
        except TimeoutError:
            return EffectEnd({}, f"no answer within {seconds:.0f} s")
        except DurabilityError:
            raise
        except ReconcilerError as error:
            return EffectEnd({}, error.message, declined=isinstance(error, Declined))
        # Whatever a driver does must end as a recorded failure, not as a dead loop.
        except Exception as error:  # noqa: BLE001
            return EffectEnd({}, f"{type(error).__name__}: {error}")
        await self._note_accepted(evidence)
        failed = evidence.get(FAILED)
        return EffectEnd(evidence, "; ".join(map(str, failed)) if isinstance(failed, list) else "")

    async def _effect(self, world: Observed, attempt: int) -> Evidence:
        state, controller = self._state, self._context.controller.id
        given = EffectContext(
            state.ports, state.slice, controller, world, frozenset(state.gave_up), attempt
        )
        evidence: Evidence = await PERFORM[self._step.kind](self._step, given)
        return evidence

    async def _note_accepted(self, evidence: Evidence) -> None:
        if ACCEPTED not in evidence:
            return
        # At once: once the host is silent, nothing else tells that it agreed to go (ADR 0009).
        boot_id = str(evidence[ACCEPTED])
        accepted = ShutdownAccepted(host=self._step.host, run=self._state.run, boot_id=boot_id)
        await self._context.journal.append(accepted)

    async def _watch(self, world: Observed, effect: EffectEnd) -> StepEnd:
        """Look until the postcondition is seen, cannot come, or it is late.

        An effect that broke off may still come.
        """
        step, clock = self._step, self._context.clock
        progress = Progress(self._planned, self._state.ports, clock, self._context.say)
        began, trouble, until = clock.boot(), effect.trouble, self._until(effect)
        (pause, longest), attempt = step.poll, 0
        if not step.looks_at_once:
            await clock.sleep(min(pause, max(0.0, until - began)))
        while True:
            world = await self._state.observer.look(step.looks(world), world)
            if end := self._ended(world, trouble, until):
                return end
            if self._is_due_again(began, attempt):
                attempt += 1
                trouble = await self._again(world, attempt)
            await progress.tell(world)
            await clock.sleep(min(pause, max(0.0, until - clock.boot())))
            pause = min(pause * GROWTH, longest)

    def _is_due_again(self, began: float, attempt: int) -> bool:
        now, again = self._context.clock.boot(), self._step.again
        return again is not None and now >= began + again * (attempt + 1)

    def _ended(self, world: Observed, trouble: str, until: float) -> StepEnd | None:
        """What the last look makes of the step, None while it is waited for."""
        step, reason = self._step, self._context.interrupt.reason
        self._sightings = self._sightings + 1 if step.holds(world) else 0
        if self._sightings == step.sightings:
            return StepEnd(world, "done", trouble)
        hopeless = self._hopeless(world)
        if hopeless or self._context.clock.boot() >= until:
            return StepEnd(world, "failed", trouble or hopeless or _late(step, world))
        if reason:
            return StepEnd(world, "cancelled", _cut_short(step, world, reason, trouble))
        return None

    def _hopeless(self, world: Observed) -> str:
        # A process that becomes another program shows no mark for a moment: what is hopeless is
        # seen twice.
        before, self._doubt = self._doubt, self._step.cannot_succeed_reason(world)
        return self._doubt if before else ""

    def _until(self, effect: EffectEnd) -> float:
        """Until when the postcondition is looked for."""
        step = self._step
        if step.waits_for_clients:
            return self._state.drained_until[model_of(step)]
        return self._context.clock.boot() + self._patience(effect)

    def _patience(self, effect: EffectEnd) -> float:
        step = self._step
        if effect.declined:
            return 0.0
        # What cannot be taken back may have begun although it broke off.
        if not effect.trouble or step.in_doubt == "irreversible":
            return step.deadline
        return min((step.again or 0) * RETRIES + DOUBT_SECONDS, step.deadline)

    async def _again(self, world: Observed, attempt: int) -> str:
        """Try the effect once more: what went wrong, empty when nothing did."""
        if self._step.ends_down:
            await self._intend("irreversible")
            self._say(": it hangs; its power will be cut")
        effect = await self._perform(world, attempt)
        self._tried = effect.evidence or self._tried
        return effect.trouble

    async def _missed(self, world: Observed, message: str) -> RunEnd:
        await self._record(StepEnd(world, "missed", message))
        return RunEnd("missed", self._step, message)

    async def _busy(self, seen: StepEnd, evidence: Evidence) -> RunEnd:
        """That the model must be drained again."""
        step = self._step
        await self._record(seen._replace(outcome="missed"), evidence)
        self._say(f": {seen.message}; waiting for its clients once more")
        return RunEnd("busy", step, seen.message)

    def _is_in_use(self, before: Observed, after: Observed) -> bool:
        """Whether clients came between drain and save, and may still be waited for."""
        step, state = self._step, self._state
        if not isinstance(step, ModelStep) or not step.needs_calm or step.model in state.undrained:
            return False
        in_time = self._context.clock.boot() < state.drained_until[step.model]
        return in_time and used_since(before, after, step)

    async def _remember(self, seen: StepEnd, before: Observed, evidence: Evidence) -> None:
        """Record the step, and what of it counts for the rest of the run."""
        step, state = self._step, self._state
        self._await_trial()
        state.torn_down = state.torn_down or step.tears_down
        if step.starts and seen.outcome == "done":
            state.started[model_of(step)] += 1
            state.unproven.add(model_of(step))
        counted = self._counted(seen.outcome, before, evidence)
        held = await weighed(step, state.observer, before, seen.world)
        await self._record(seen, {**self._restored(seen.world, counted), **held})

    def _await_trial(self) -> None:
        # What was waited for must still be proven by a trial, also where another run started it.
        if self._step.awaits_start:
            self._state.unproven.add(model_of(self._step))
        if self._step.puts_back:
            self._state.restored.add(model_of(self._step))

    def _counted(self, outcome: Outcome, before: Observed, evidence: Evidence) -> Evidence:
        """The evidence of a stop with the slots that were lost in it, which are counted."""
        step, state = self._step, self._state
        if not isinstance(step, ModelStep) or step.expected_losses is None or outcome != "done":
            return evidence
        # A stop that broke off could not tell.
        if not evidence:
            evidence = {LOST: [slot.id for slot in unsaved(before, step)]}
        lost = len(_listed(evidence, LOST))
        state.lost[step.model] += max(0, lost - state.promised[step.model])
        return evidence

    def _restored(self, world: Observed, evidence: Evidence) -> Evidence:
        """The evidence of a restore with the slots that clients took; what is lost is noted."""
        step, name = self._step, model_of(self._step)
        if not step.puts_back:
            return evidence
        taken = conversations.left_out(world, step.host, name)
        slots = [*_listed(evidence, "slots"), *taken]
        became = {(name, one["slot"]): conversations.became(name, one) for one in slots}
        self._state.not_restored |= became
        return {**evidence, "slots": slots} if slots else evidence

    def _judge(self, seen: StepEnd) -> RunEnd | None:
        """Why the plan ends with this step, None when it goes on."""
        step = self._step
        if seen.outcome == "cancelled":
            return RunEnd("interrupted", step, seen.message)
        if seen.outcome == "done":
            return None
        if step.gives_up or self._state.may_go_on(step, seen.world):
            self._state.give_up(step, seen.message)
            self._say(f": went on without it: {seen.message}")
            return None
        return RunEnd("failed", step, seen.message)

    def _say(self, words: str) -> None:
        self._context.say(f"{self._step.kind} {self._step.target}{words}")

    async def _intend(self, in_doubt: InDoubt) -> None:
        step = self._step
        intent = StepIntent(
            host=step.host,
            run=self._state.run,
            number=self._number,
            step=step.kind,
            model=model_of(step),
            in_doubt=in_doubt,
        )
        await self._context.journal.append(intent)

    async def _record(self, seen: StepEnd, evidence: Evidence | None = None) -> None:
        step = self._step
        unit = seen.world.value(UNIT(step.host, model_of(step)))
        gives_up = seen.outcome == "failed" and step.gives_up
        await self._context.journal.append(
            StepDone(
                host=step.host,
                run=self._state.run,
                number=self._number,
                step=step.kind,
                model=model_of(step),
                outcome="gave-up" if gives_up else seen.outcome,
                message=seen.message,
                seconds=round(self._context.clock.boot() - self._began, 3),
                evidence={**(evidence or {}), **_down(step, seen)},
                identity=unit.identity if unit else None,
            )
        )


def _down(step: AnyStep, seen: StepEnd) -> Evidence:
    """By what a host was observed to be down, where the step ended so."""
    power = seen.world.value(POWER(step.host))
    if power is None or not step.ends_down or seen.outcome not in {"done", "skipped"}:
        return {}
    return {SEEN: power.because}


def _listed(evidence: Evidence, key: str) -> list[Any]:
    listed = evidence.get(key)
    return listed if isinstance(listed, list) else []


def _late(step: AnyStep, world: Observed) -> str:
    """What stands in the way of a step that took too long; of a host's power, what it is."""
    if step.ends_down:
        why = phrases.seen([POWER(step.host)], world)
    else:
        why = "; ".join(step.blocked_by(world)) or phrases.seen(step.looks(world), world)
    return f"not so after {step.deadline:.0f} s: {why}"


def _cut_short(step: AnyStep, world: Observed, reason: str, trouble: str) -> str:
    """Why a wait was ended, and what had gone wrong, or why its host was out of reach."""
    contact = CONTACT(step.host)
    silence = world.unknown(contact) if contact in step.reads() else None
    gone_wrong = trouble or (silence.reason if silence else "")
    return f"{reason}; {gone_wrong}" if gone_wrong else reason
