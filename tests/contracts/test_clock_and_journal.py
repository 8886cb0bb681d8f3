"""What every clock and every journal promises, in memory and for real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from reconciler.edge.clock import SystemClock
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.journal import MemoryJournal
from reconciler.fakes.life import Life, MortalJournal
from reconciler.model.records import Retry
from reconciler.ports import Clock, Journal
from reconciler.store.journal import SqliteJournal
from reconciler.store.journal_file import JournalFile


@pytest.fixture(params=["fake", "real"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def turned() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def clock(kind: str, turned: TurnedClock) -> Clock:
    return turned if kind == "fake" else SystemClock()


@pytest.fixture
def anyio_backend(kind: str, turned: TurnedClock) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": turned.loop} if kind == "fake" else {}


async def test_a_clock_tells_how_long_was_waited(clock: Clock) -> None:
    order: list[float] = []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        order.append(seconds)

    boot, wall = clock.boot(), clock.wall()
    async with anyio.create_task_group() as tasks:
        for seconds in (0.06, 0.0, 0.03):
            tasks.start_soon(sleeper, seconds)
    assert order == [0.0, 0.03, 0.06]
    assert clock.boot() - boot > 0.0599
    assert clock.wall() - wall == pytest.approx(clock.boot() - boot, abs=0.05)
    assert wall > 1_700_000_000
    with anyio.move_on_after(0.01) as scope:
        await clock.sleep(3600)
    assert scope.cancelled_caught


def journals(kind: str, clock: Clock, folder: Path) -> Iterator[Journal]:
    """Give a journal again and again, as one controller after the other opens it."""
    memory = MortalJournal(MemoryJournal(clock), Life())
    while True:
        yield memory if kind == "fake" else SqliteJournal(JournalFile(folder, clock))


async def test_rows_are_numbered_in_order_and_outlive_who_wrote_them(
    kind: str, turned: TurnedClock, tmp_path: Path
) -> None:
    opened = journals(kind, turned, tmp_path)
    journal = next(opened)
    assert list(await journal.since(0)) == []
    written = []
    for number in range(3):
        turned.now += 1
        written.append(await journal.append(Retry(host=f"host{number}")))
        assert written[-1].when == turned.instant()
    before = await journal.since(0)
    assert [row.seq for row in before] == [1, 2, 3]
    assert list(before) == written
    assert [row async for part in journal.parts(1) for row in part] == written[1:]
    again = next(opened)
    assert list(await again.since(0)) == written
    assert (await again.append(Retry(host="box"))).seq == 4
    assert list(before) == written
    assert [row.seq for row in await journal.since(0)] == [1, 2, 3, 4]
