"""Interrupt: how others ask a run that waits to end, and what becomes of it then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Way: TypeAlias = Literal["rollback", "late", "supersede", "detach"]


@dataclass
class Interrupt:
    """A request that a run ends its wait; `reason` is empty while there is none.

    The run should then `rollback` to last good, which a deadline asks for too (`late`);
    `supersede`: end as far as it came, for another run; or `detach`: stay open in the journal.
    """

    reason: str = ""
    way: Way = "rollback"

    @property
    def goes_back(self) -> bool:
        """Whether what was stopped for the run should serve again."""
        return self.way in {"rollback", "late"}

    def request(self, reason: str, way: Way) -> None:
        """Ask, and say why; leaving comes before all else."""
        if not self.reason or way == "detach":
            self.reason, self.way = reason, way
