"""Verdict: how a pass over one host ended."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from reconciler.model.names import Value

Outcome: TypeAlias = Literal[
    "in_sync", "applied", "rolled_back", "unhealthy", "refused", "stalled", "interrupted", "unknown"
]
EXIT_CODES: dict[str, int] = {
    "in_sync": 0, "applied": 0, "rolled_back": 3, "unhealthy": 3, "stalled": 3, "refused": 4,
    "unknown": 5, "interrupted": 130,
}  # fmt: skip
"""By outcome; what each code means to a script is in docs/reference.md."""

LOST = 3


class HostVerdict(Value):
    """How a pass over one host ended. `runs` are the journal's names of what was executed.

    `lost_conversations` are those that the plan had meant to keep; `notes` say that, and which did
    not come back. `serving` is where each model answers that serves now, as seen on the host.
    """

    host: str
    outcome: Outcome
    message: str = ""
    reasons: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    runs: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    lost_conversations: int = 0
    held: bool = False
    serving: Mapping[str, str] = {}

    @property
    def word(self) -> str:
        """The outcome as a person reads it."""
        # A pass over a host on hold ends `refused`, or `in_sync` where the hold itself was asked
        # for; neither word says that the host was left alone.
        return "on hold" if self.held else self.outcome.replace("_", " ")

    @property
    def exit_code(self) -> int:
        """The exit code of this verdict alone: what was lost against the plan is no success."""
        return EXIT_CODES[self.outcome] or (LOST if self.lost_conversations else 0)
