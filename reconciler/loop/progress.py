"""Progress: tell people about a wait that takes its time, less and less often."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from reconciler.model.facts import Unknown
from reconciler.model.observed import CONTACT, POWER, Observed
from reconciler.ports import Clock, HostReaders
from reconciler.steps.plan import PlannedStep
from reconciler.steps.step import ModelStep

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0
LOG_SECONDS = 2.0


class Progress:
    """Know one wait: since when, its deadline, how long it usually takes, and what the engine says meanwhile."""

    def __init__(
        self, planned: PlannedStep, readers: HostReaders, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self._planned = planned
        self._readers = readers
        self._clock = clock
        self._say = say
        self._began = clock.boot()
        self._pause = FIRST_SECONDS
        self._next = self._began + FIRST_SECONDS

    async def tell(self, world: Observed) -> None:
        """Say how the wait goes, when it is time to; `world` is what was seen last."""
        now = self._clock.boot()
        if now < self._next:
            return
        self._pause = min(2 * self._pause, LONGEST_SECONDS)
        self._next = now + self._pause
        step, usual = self._planned.step, self._planned.seconds
        about = f", usually {usual:.0f} s" if usual is not None else ""
        words = self._silence(world) or await self._last_words()
        self._say(
            f"{step.kind} {step.target}: {now - self._began:.0f} s of at most {step.deadline:.0f}"
            f" s{about}{words}"
        )

    def _silence(self, world: Observed) -> str:
        """Return why the power of a host that is waited for is not known, or else why the host does not answer."""
        step = self._planned.step
        asked = (POWER(step.host), CONTACT(step.host))
        silence = next(
            (found for key in asked if key in step.reads() and (found := world.unknown(key))), None
        )
        return f"; {silence.reason}" if silence else ""

    async def _last_words(self) -> str:
        """Return what the engine that is waited for wrote last."""
        step = self._planned.step
        model = (
            self._readers.models.get(step.model)
            if isinstance(step, ModelStep) and step.awaits_start
            else None
        )
        if model is None:
            return ""
        with anyio.move_on_after(LOG_SECONDS):
            fact = await model.launcher.log(step.target, lines=1)
            return (
                ""
                if isinstance(fact, Unknown) or not fact.value.lines
                else f"; its log: {fact.value.lines[-1].strip()}"
            )
        return ""
