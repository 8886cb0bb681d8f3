"""Run end: the one word for how a step, a plan or a run ended, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from reconciler.steps.plan import AnyStep


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, or one of its plans, and at which step.

    `in_sync`: there was nothing to do. `refused`: nothing was changed, for `reasons`. `missed` and
    `busy` ask for another plan. `unmet`: all works, and serves something else than was wanted. The
    reasons that refuse a plan which is made again after a step (`of_plan`) name the steps that they
    are about themselves. `serving` is where each model answers that serves now.
    """

    kind: Literal[
        "completed", "in_sync", "refused", "missed", "busy", "unmet", "failed", "interrupted"
    ]
    step: AnyStep | None = None
    message: str = ""
    of_plan: bool = False
    run: int | None = None
    reasons: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    torn_down: bool = False
    serving: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[int, ...]:
        """The run as a tuple, empty where none was opened."""
        return () if self.run is None else (self.run,)

    @property
    def of_power(self) -> bool:
        """Whether it was the power of the host that failed."""
        if self.step is None or self.kind not in {"failed", "interrupted"}:
            return False
        return self.step.of_power

    @property
    def whole_message(self) -> str:
        """The message with the step that it is about."""
        if self.kind == "completed":
            return ""
        step = f"{self.step.kind} {self.step.target}: " if self.step and not self.of_plan else ""
        return f"{step}{self.message}"


def refused(*reasons: str) -> RunEnd:
    """The end of what was not begun."""
    return RunEnd("refused", message="nothing was changed", reasons=reasons)
