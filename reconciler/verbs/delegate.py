"""Delegate: let the process that acts do what is asked for, follow it in the journal, and end as it ended."""

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
"""How often the journal is looked at, and after how many of those whether anybody acts at all."""


@dataclass
class Following:
    """Follow what becomes of rows that asked.

    `asked` is by host, and so are the verdicts found so far.
    """

    asked: Mapping[str, int]
    say: Callable[[str], None]
    verdicts: dict[str, HostVerdict] = field(default_factory=dict)

    def read(self, rows: Iterable[Row]) -> None:
        """Take new rows."""
        for row in rows:
            record = row.record
            if isinstance(record, StepIntent) and record.host in self.asked:
                self.say(f"{record.host}: {record.step} {record.model}".rstrip())
            elif isinstance(record, Answered) and record.asked == self.asked.get(record.host):
                self.verdicts[record.host] = record.verdict


async def ask(
    app: Actor, asked: Iterable[Asked], say: Callable[[str], None], patience: float | None
) -> dict[str, HostVerdict] | None:
    """Ask, and return the verdicts.

    None when nobody acts any more, hosts without one when it took too long.
    """
    following = Following({one.host: (await app.journal.append(one)).seq for one in asked}, say)
    read = min(following.asked.values(), default=0)
    with anyio.move_on_after(float("inf") if patience is None else patience):
        glances = 0
        while following.verdicts.keys() != following.asked.keys():
            await app.clock.sleep(GLANCE_SECONDS)
            glances += 1
            if await app.journal.newest() > read:
                rows = await app.journal.since(read)
                read = rows[-1].seq
                following.read(rows)
            elif glances % GLANCES_PER_LOCK == 0 and _nobody_acts(app):
                return None
    return following.verdicts


def _nobody_acts(app: Actor) -> bool:
    try:
        with app.lock.held():
            return True
    except LockHeld:
        return False
