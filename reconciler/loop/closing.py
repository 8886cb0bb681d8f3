"""Closing: how a run ended, in the journal and for who planned it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from reconciler.core import phrases
from reconciler.core.policy import Aim
from reconciler.core.recovery import attempt_key
from reconciler.loop.executor import Ending, Executor
from reconciler.model.facts import Unknown
from reconciler.model.records import RunClosed, Verdict
from reconciler.model.target import Target


@dataclass(frozen=True)
class Attempt:
    """Say how one run ended, whether something that served was stopped in it, and whether it was power that failed.

    `serving` is where each model answers that serves now, as far as the run saw to it.
    """

    kind: Literal["in_sync", "done", "refused", "failed", "interrupted", "unmet"]
    run: int | None = None
    message: str = ""
    reasons: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    torn_down: bool = False
    of_power: bool = False
    serving: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[int, ...]:
        """Return the run as a tuple."""
        return () if self.run is None else (self.run,)


async def close(executor: Executor, ending: Ending, aim: Aim) -> Attempt:
    """Record how a run ended, unless its controller leaves it open, and return that."""
    target = aim.target
    on_the_way: Verdict = "interrupted" if executor.interrupt.goes_back else "superseded"
    verdicts: dict[str, Verdict] = {"completed": "promoted", "interrupted": on_the_way, "unmet": "failed"}
    failed = ending.kind not in verdicts
    unmet = "Unmet" if ending.kind == "unmet" else ""
    if ending.kind == "interrupted" and executor.interrupt.way == "detach":
        return Attempt("interrupted", executor.run, ending.message, torn_down=executor.torn_down)
    of_power = ending.step is not None and ending.step.of_power
    log = await _last_words(executor, ending, target) if failed and not of_power else ()
    key = (
        attempt_key(target.slice, target.digest, await executor.observer.for_planning(target.slice.active or ()))
        if failed
        else ""
    )
    step = f"{ending.step.kind} {ending.step.target}: " if ending.step and not ending.of_plan else ""
    message = f"{step}{ending.message}" if ending.kind != "completed" else ""
    await executor.journal.append(
        RunClosed(
            host=target.slice.host.name,
            run=executor.run,
            verdict=verdicts.get(ending.kind, "failed"),
            reason=phrases.failed(ending.step.kind if ending.step else "trial") if failed else unmet,
            message=message,
            key=key if failed else None,
            quarantines=failed and aim.mode == "forward",
            torn_down=executor.torn_down,
            log=log,
            notes=executor.notes,
            lost_conversations=executor.lost.total(),
            unproven=tuple(sorted(executor.unproven)) if failed or ending.kind == "interrupted" else (),
        )
    )
    if failed:
        return Attempt("failed", executor.run, message, log=log, torn_down=executor.torn_down, of_power=of_power)
    if ending.kind == "interrupted":
        return Attempt("interrupted", executor.run, message, torn_down=executor.torn_down, of_power=of_power)
    if unmet:
        return Attempt("unmet", executor.run, message)
    return Attempt("done", executor.run, serving=phrases.urls(target.slice))


async def _last_words(executor: Executor, ending: Ending, target: Target) -> tuple[str, ...]:
    """Return the engine's last log lines of the model that failed."""
    model_name = getattr(ending.step, "model", None) or next(iter(target.slice.active or ()), None)
    model = executor.ports.models.get(model_name or "")
    if model is None or model_name is None:
        return ()
    fact = await model.launcher.log(model_name)
    return () if isinstance(fact, Unknown) else fact.value.lines
