"""Progress: tell people about a wait that takes its time, less and less often."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from reconciler.model.facts import Known
from reconciler.model.observed import CONTACT, POWER, Observed
from reconciler.ports import Clock, HostReaders, LauncherReader
from reconciler.steps.plan import PlannedStep
from reconciler.steps.step import ModelStep

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0
LOG_SECONDS = 2.0


class Progress:
    """One wait as it is told: since when, until when, how long usually, and the engine's words."""

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
        words = self._silence(world) or await self._last_words()
        self._say(f"{self._how_long(now - self._began)}{words}")

    def _how_long(self, seconds: float) -> str:
        step, usual = self._planned.step, self._planned.seconds
        about = f", usually {usual:.0f} s" if usual is not None else ""
        return f"{step.kind} {step.target}: {seconds:.0f} s of at most {step.deadline:.0f} s{about}"

    def _silence(self, world: Observed) -> str:
        """Why the power of a host that is waited for is not known, or why it does not answer."""
        step = self._planned.step
        asked = [key for key in (POWER(step.host), CONTACT(step.host)) if key in step.reads()]
        silence = next(filter(None, map(world.unknown, asked)), None)
        return f"; {silence.reason}" if silence else ""

    async def _last_words(self) -> str:
        """What the engine that is waited for wrote last."""
        launcher = self._launcher()
        if launcher is None:
            return ""
        with anyio.move_on_after(LOG_SECONDS):
            fact = await launcher.log(self._planned.step.target, lines=1)
            if isinstance(fact, Known) and fact.value.lines:
                return f"; its log: {fact.value.lines[-1].strip()}"
        return ""

    def _launcher(self) -> LauncherReader | None:
        step = self._planned.step
        if not isinstance(step, ModelStep) or not step.awaits_start:
            return None
        model = self._readers.models.get(step.model)
        return model.launcher if model is not None else None
