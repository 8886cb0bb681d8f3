"""Verdict: how a pass over one host ended."""

from __future__ import annotations

from typing import Literal, TypeAlias

from reconciler.model.names import Value

Outcome: TypeAlias = Literal["in_sync", "applied", "rolled_back", "unhealthy", "refused", "stalled", "interrupted", "unknown"]
EXIT_CODES: dict[str, int] = {
    "in_sync": 0, "applied": 0, "rolled_back": 3, "unhealthy": 3, "stalled": 3, "refused": 4, "unknown": 5, "interrupted": 130,
}  # fmt: skip


class HostVerdict(Value):
    """Say how a pass over one host ended. `runs` are the journal's names of what was executed."""

    host: str
    outcome: Outcome
    message: str = ""
    reasons: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    runs: tuple[int, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return the exit code of this verdict alone."""
        return EXIT_CODES[self.outcome]
