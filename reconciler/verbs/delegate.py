"""Delegate: have the process that acts do what is asked, follow the journal, end as it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import anyio

from reconciler.errors import LockHeld
from reconciler.model.records import Answered, Asked, Row, StepIntent
from reconciler.model.verdict import HostVerdict
from reconciler.verbs.context import Actor

GLANCE_SECONDS = 0.1
GLANCES_PER_LOCK = 10
"""How often the journal is looked at, and after how many idle looks whether the lock is free."""


@dataclass
class Following:
    """What becomes of rows that asked: `asked` is by host, and so are the verdicts so far."""

    asked: Mapping[str, int]
    say: Callable[[str], None]
    verdicts: dict[str, HostVerdict] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether every host has its verdict."""
        return self.verdicts.keys() == self.asked.keys()

    def read(self, rows: Iterable[Row]) -> None:
        """Take new rows: tell of steps, keep verdicts."""
        for row in rows:
            record = row.record
            if isinstance(record, StepIntent) and record.host in self.asked:
                self.say(f"{record.host}: {record.step} {record.model}".rstrip())
            elif isinstance(record, Answered) and self._is_for_us(record):
                self.verdicts[record.host] = record.verdict

    def _is_for_us(self, answer: Answered) -> bool:
        # Others may ask about the same host meanwhile: each is answered by the number of its row.
        return answer.asked == self.asked.get(answer.host)


async def begin(app: Actor, asked: Iterable[Asked]) -> Mapping[str, int]:
    """Ask, and tell the number of each host's row."""
    return {one.host: (await app.journal.append(one)).seq for one in asked}


async def verdicts(
    app: Actor, asked: Mapping[str, int], say: Callable[[str], None], patience: float | None
) -> dict[str, HostVerdict] | None:
    """Wait for what becomes of what was asked, for `patience` seconds at most.

    None when no process acts any more; hosts without a verdict when it took too long.
    """
    following = Following(asked, say)
    with anyio.move_on_after(float("inf") if patience is None else patience):
        if not await _followed(app, following):
            return None
    return following.verdicts


async def _followed(app: Actor, following: Following) -> bool:
    """Read new rows until all is answered; False when no process is left to answer."""
    read = min(following.asked.values(), default=0)
    glances = 0
    while not following.is_done:
        await app.clock.sleep(GLANCE_SECONDS)
        glances += 1
        if await app.journal.newest() > read:
            rows = await app.journal.since(read)
            read = rows[-1].seq
            following.read(rows)
        # Only while nothing new comes: rows prove that something acts.
        elif glances % GLANCES_PER_LOCK == 0 and _lock_is_free(app):
            return False
    return True


def _lock_is_free(app: Actor) -> bool:
    try:
        with app.lock.held():
            return True
    except LockHeld:
        return False
