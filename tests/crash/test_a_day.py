"""A day of a watch on its own clock: 500 edits, every fault, and an end as the file says."""

from __future__ import annotations

import random
import resource
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from reconciler.config.file_watch import BACKSTOP_SECONDS
from reconciler.core.retention import Retention
from reconciler.fakes.processes import Conversation, Nature
from reconciler.fakes.world import Fault
from reconciler.store.journal_file import JournalFile
from tests.crash.stage import Stage, want
from tests.running import COMPUTING_SECONDS
from tests.sample_worlds import model
from tests.watched_world import WatchedWorld

HOURS, EDITS, SEED = 24, 500, 7
ACTIVES = ((), ("a",), ("b",))
ACTORS = ("claims", "prefetch", "stop", "start", "restore", "save")
FAULTS: tuple[Fault, ...] = ("refuses", "lies", "late", "hangs")
FACTS = (
    "contact",
    "claim",
    "power",
    "gpu",
    "units",
    "port",
    "binary",
    "flags",
    "health",
    "activity",
    "weights",
    "saved",
    "fingerprint",
)
EVENTS = ("fault", "hidden", "crash", "stranger", "damaged files", "bad model", "talk", "clock")
KEPT = Retention(runs=100)
LARGEST_JOURNAL = 8 * 2**20
MORE_MEMORY_KIB = 48 * 1024
"""What a process may grow by in a day: mostly what Python keeps for its next objects."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder in memory: a day's rows on a slow disk would take minutes."""
    with TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


class Trouble:
    """A fault that begins now, and ends after a while."""

    def __init__(self, watched: WatchedWorld, chance: random.Random) -> None:
        self.world, self.chance = watched.world, chance
        self.tokens = 100

    async def happens(self) -> None:
        """Let one thing happen."""
        event, name = self.chance.choice(EVENTS), self.chance.choice("ab")
        match event:
            case "fault":
                self.world.faults[self.chance.choice(ACTORS)] = self.chance.choice(FAULTS)
            case "hidden":
                self.world.unseen[self.chance.choice(FACTS)] = "it is hidden"
            case "crash":
                self.world.crash(name)
            case "stranger":
                self.is_visited()
            case "damaged files":
                self.world.flip(name)
            case "bad model":
                self.world.natures[model(name).digest] = Nature(
                    dies_after=self.chance.choice((0.2, 3.0, 60.0))
                )
            case "talk":
                self.talks()
            case _:
                self.world.clock.ahead = self.chance.choice((-7200.0, 0.0, 7200.0))
        await anyio.sleep(self.chance.uniform(0.0, 300.0))
        self.ends()

    def is_visited(self) -> None:
        if self.world.on_port(8080) is None:
            self.world.stranger(8080)

    def talks(self) -> None:
        self.tokens += 10
        for serving in self.world.serving():
            self.world.talk(serving, Conversation("tea", self.tokens))

    def ends(self) -> None:
        """Let nothing be wrong any more."""
        self.world.faults.clear()
        self.world.unseen.clear()
        self.world.natures.clear()
        self.world.processes = [one for one in self.world.processes if one.mark]


async def a_day(watched: WatchedWorld, chance: random.Random) -> None:
    trouble = Trouble(watched, chance)
    async with watched.watching(), anyio.create_task_group() as troubles:
        for _ in range(EDITS):
            watched.edit(want(*chance.choice(ACTIVES)))
            if chance.random() < 0.3:
                troubles.start_soon(trouble.happens)
            await anyio.sleep(chance.uniform(0.0, 2 * HOURS * 3600 / EDITS))
        await anyio.sleep(400.0)
        trouble.ends()
        watched.world.clock.ahead = 0.0
        # The clock may have been ahead of itself: nothing expires before it is past what was
        # recorded.
        await anyio.sleep(2 * 7200.0)


@pytest.mark.timeout(COMPUTING_SECONDS)
def test_a_day_of_edits_and_faults_ends_in_sync_with_a_bounded_journal_and_memory(
    folder: Path,
) -> None:
    stage = Stage()
    kept = JournalFile(folder / "journal", stage.world.clock, KEPT)
    watched = WatchedWorld(stage, kept)
    # Nobody asks: to look for that four times a second took half of the time.
    watched.edits.stir_seconds = BACKSTOP_SECONDS
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = watched.world.clock.boot()
    watched.world.clock.run(a_day, watched, random.Random(SEED))  # noqa: S311 - a test must be repeatable
    assert watched.world.clock.boot() - began > HOURS * 3600 * 0.9
    assert watched.world.violations == []
    assert stage.is_as_wanted(), watched.said[-20:]
    assert len(watched.runs()) <= KEPT.runs * (1 + KEPT.slack)
    assert sum(file.stat().st_size for file in (folder / "journal").iterdir()) < LARGEST_JOURNAL
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < MORE_MEMORY_KIB
