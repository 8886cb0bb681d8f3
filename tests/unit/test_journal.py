"""A slow disk holds up only who records; a record is kept though who records is cancelled."""

from __future__ import annotations

import resource
import statistics
import time
from threading import Event
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from reconciler.edge.clock import SystemClock
from reconciler.errors import WriteFailed
from reconciler.model.records import Retry
from reconciler.store import journal as store_journal
from reconciler.store.journal import SqliteJournal
from reconciler.store.journal_file import JournalFile
from tests.faults import under_limit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from reconciler.model.records import Record, Row

SYNC_SECONDS, ROWS = 0.05, 20
HELD_UP_SECONDS = 0.005


class SlowFile(JournalFile):
    """A journal's file whose disk takes its time with every row, as `before` does."""

    before: Callable[[], object] = staticmethod(lambda: time.sleep(SYNC_SECONDS))

    def append(self, record: Record) -> Row:
        self.before()
        return super().append(record)


def journal_of(folder: Path, before: Callable[[], object] | None = None) -> SqliteJournal:
    file = SlowFile(folder, SystemClock())
    file.before = before or file.before
    return SqliteJournal(file)


async def test_the_rest_of_the_loop_does_not_wait_for_a_disk_of_50_milliseconds(
    tmp_path: Path,
) -> None:
    journal, longest = journal_of(tmp_path), [0.0]
    idle: list[float] = []
    busy: list[float] = []

    async def ticking() -> None:
        """Note by how much the turns of the loop come late."""
        while True:
            before = time.perf_counter()
            await anyio.lowlevel.checkpoint()
            longest[0] = max(longest[0], time.perf_counter() - before)

    async def noted(into: list[float], wait: Awaitable[object]) -> None:
        longest[0] = 0.0
        began = time.perf_counter()
        await wait
        assert time.perf_counter() - began >= SYNC_SECONDS * 0.9
        await anyio.lowlevel.checkpoint()  # Who was held up notes it with its next turn.
        into.append(longest[0])

    async with anyio.create_task_group() as group:
        group.start_soon(ticking)
        for number in range(ROWS):
            await noted(idle, anyio.sleep(SYNC_SECONDS))
            await noted(busy, journal.append(Retry(host=f"host{number}")))
        group.cancel_scope.cancel()
    # A busy machine holds up turns by itself, with a journal and without; a journal that did so
    # would with every row.
    assert min(busy) < statistics.median(idle) + HELD_UP_SECONDS, (idle, busy)


async def test_a_disk_that_waits_for_another_task_of_the_loop_is_written_to(
    tmp_path: Path,
) -> None:
    turned = Event()

    def waits() -> None:
        assert turned.wait(5.0), "nobody else had a turn"

    journal = journal_of(tmp_path, waits)
    async with anyio.create_task_group() as group:
        group.start_soon(journal.append, Retry(host="a"))
        await anyio.lowlevel.checkpoint()
        turned.set()
    assert [row.record.host for row in await journal.since(0)] == ["a"]


async def test_rows_are_in_the_order_in_which_they_were_given(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, lambda: None)
    async with anyio.create_task_group() as group:
        for number in range(ROWS):
            group.start_soon(journal.append, Retry(host=f"host{number}"))
    rows = await journal.since(0)
    assert [row.record.host for row in rows] == [f"host{number}" for number in range(ROWS)]
    assert await journal.newest() == ROWS
    assert await journal.since(ROWS - 1) == rows[-1:]


async def test_a_cancelled_task_has_recorded_what_it_was_about_to_record(
    tmp_path: Path,
) -> None:
    journal = journal_of(tmp_path)
    with anyio.move_on_after(SYNC_SECONDS / 5) as scope:
        await journal.append(Retry(host="a"))
        await anyio.sleep(10.0)
    assert scope.cancelled_caught
    with anyio.CancelScope() as cancelled:
        cancelled.cancel()
        await journal.append(Retry(host="b"))
    assert [row.record.host for row in await journal.since(0)] == ["a", "b"]


async def test_after_a_write_that_failed_it_is_written_on_once_that_is_asked_for(
    tmp_path: Path,
) -> None:
    told: list[float] = []
    journal = SqliteJournal(JournalFile(tmp_path, SystemClock()), told.append)
    first = await journal.append(Retry(host="box"))
    with under_limit(resource.RLIMIT_FSIZE, 0), pytest.raises(WriteFailed):
        await journal.append(Retry(host="box"))
    with pytest.raises(WriteFailed):
        await journal.append(Retry(host="box"))
    await journal.reopen()
    await journal.check_room()
    second = await journal.append(Retry(host="box"))
    assert await journal.since(0) == (first, second)
    assert len(told) == 4, "how long each took, also one that failed"


async def test_what_reads_all_rows_lets_others_write_between_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_journal, "PART", 2)
    journal = SqliteJournal(JournalFile(tmp_path, SystemClock()))
    written = [await journal.append(Retry(host=f"host{number}")) for number in range(3)]
    parts = journal.parts(0)
    assert [*await anext(parts)] == written[:2]
    written.append(await journal.append(Retry(host="meanwhile")))
    assert [row async for part in parts for row in part] == written[2:]
    assert [part async for part in journal.parts(written[-1].seq)] == []
