"""Onlooker: what the journal and the processes say while a load goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
from anyio import to_thread

from tests.load.ledger import Ledger, Look, Noted, now
from tests.stack import Stack

JOURNAL_SECONDS = 0.1
LOOK_SECONDS = 0.5
ROWS = """
SELECT seq, boot, kind, coalesce(body ->> '$.step', ''), coalesce(body ->> '$.model', ''),
  coalesce(body ->> '$.outcome', body ->> '$.verdict', '')
FROM record WHERE seq > ? ORDER BY seq
"""


async def follow(
    here: Stack, ledger: Ledger, is_enough: Callable[[], bool], over: anyio.Event
) -> None:
    """Keep the rows of the journal, which forgets its oldest.

    Let it be over when it is enough, or when nothing is done any more.
    """
    began = now()
    while True:
        known = len(ledger.rows)
        await read_on(here, ledger)
        has_closed = any(row.kind == "run-closed" for row in ledger.rows[known:])
        newest = ledger.rows[-1].at if ledger.rows else began
        if (has_closed and is_enough()) or now() - newest > ledger.patience:
            over.set()
        await anyio.sleep(JOURNAL_SECONDS)


async def read_on(here: Stack, ledger: Ledger) -> None:
    """Read what was written since."""
    after = ledger.rows[-1].seq if ledger.rows else 0
    ledger.rows += await to_thread.run_sync(partial(_rows, here, after))


def _rows(here: Stack, after: int) -> list[Noted]:
    if not (here.folder / "data" / "journal" / "head").exists():
        return []
    with here.journal() as connection:
        return [Noted(*row) for row in connection.execute(ROWS, (after,))]


async def look_on(here: Stack, ledger: Ledger) -> None:
    """Look again and again which engines run."""
    while True:
        await look(here, ledger)
        await anyio.sleep(LOOK_SECONDS)


async def look(here: Stack, ledger: Ledger) -> None:
    """Look which engines run."""
    ledger.looks.append(await to_thread.run_sync(partial(_look, here)))


def _look(here: Stack) -> Look:
    units = _units(here)
    # A look takes a moment, in which one may have ended and another begun.
    return Look(now(), units & _units(here) if len(units) > 1 else units)


def _units(here: Stack) -> frozenset[tuple[str, int]]:
    return frozenset((unit["mark"]["model"], unit["identity"]["pid"]) for unit in here.units())
