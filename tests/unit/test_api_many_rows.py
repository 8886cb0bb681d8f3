"""Who asks the control API for all that was recorded holds up no request meanwhile."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.app import build
from reconciler.core.canonical import digest
from reconciler.model.records import RunClosed, RunOpened, StepDone
from reconciler.settings import settings
from reconciler.store.journal import PART
from tests.sample_worlds import PROVENANCE, model, slice_of
from tests.unit.test_api import DESIRED, INVENTORY, V1, Api, standing

RUNS, STEPS = 60, 40
HELD_UP_SECONDS = 0.02
TRIES = 3
WANTED = slice_of(("tiny-a",), model("tiny-a"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("x" * 100)
    (folder / "state").mkdir()
    (folder / "state" / "desired.yaml").write_text(DESIRED)
    (folder / "state" / "inventory.yaml").write_text(INVENTORY.format(weights=folder / "none"))
    app = build(settings({"HOME": str(folder)}, str(folder / "state"), str(folder / "data")))
    app.run(recorded, app.journal)
    return folder


async def recorded(journal: Any) -> None:
    opened = RunOpened(
        host="local", mode="forward", slice=WANTED, digest=digest(WANTED), key=digest(WANTED),
        generation=1, trigger="apply", provenance=PROVENANCE, plan=("start tiny-a",),
    )  # fmt: skip
    for _ in range(RUNS):
        run = (await journal.append(opened)).seq
        for number in range(STEPS):
            # None of these waits for the disk.
            done = StepDone(
                host="local", run=run, number=number, step="start", model="tiny-a", outcome="done"
            )
            await journal.append(done)
        await journal.append(RunClosed(host="local", run=run, verdict="promoted"))


@asynccontextmanager
async def turning() -> AsyncIterator[list[float]]:
    """Give the longest turn of the loop, which whoever looks resets: what it took of the process.

    Other processes, which a busy machine lets run meanwhile, are not counted.
    """
    longest = [0.0]

    async def ticks() -> None:
        while True:
            before = time.process_time()
            await asyncio.sleep(0)
            longest[0] = max(longest[0], time.process_time() - before)

    task = asyncio.get_running_loop().create_task(ticks())
    try:
        yield longest
    finally:
        task.cancel()


async def told(api: Api, path: str) -> None:
    await api.get(path)


async def followed(api: Api, _: str) -> None:
    async with api.local.stream("GET", f"{V1}/events?after=0") as events:
        count = 0
        async for line in events.aiter_lines():
            count += line.startswith("id: ")
            if count == RUNS * (STEPS + 2):
                return


@pytest.mark.parametrize(
    ("ask", "path"),
    [
        (told, "/history"),
        (told, "/explain/1"),
        (told, "/doctor"),
        (told, "/status"),
        (followed, "/events"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_other_requests_go_on_while_all_rows_are_read(
    folder: Path, ask: Callable[[Api, str], Awaitable[None]], path: str
) -> None:
    assert RUNS * STEPS > 5 * PART
    async with standing(folder) as api, turning() as longest:
        await ask(api, path)
        idle, busy = list[float](), list[float]()
        for _ in range(TRIES):
            longest[0] = 0.0
            await asyncio.sleep(0.1)
            idle.append(longest[0])
            longest[0] = 0.0
            await ask(api, path)
            busy.append(longest[0])
    # A collection of garbage may fall into any turn; what reads for long would with every try.
    assert min(busy) < statistics.median(idle) + HELD_UP_SECONDS, (idle, busy)
