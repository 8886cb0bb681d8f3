"""Bad days of journal and clocks: the watch ends with 5 and a way out, and the next converges.

Clocks that jump under a process run in the time of a world of their own (tests/watched_world).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from reconciler.app import build
from reconciler.core.retention import DAY_SECONDS
from reconciler.edge.clock import SystemClock
from reconciler.errors import NetworkFileSystem
from reconciler.model.records import Hold
from reconciler.settings import settings
from reconciler.store.journal import SqliteJournal
from reconciler.store.journal_file import JournalFile
from reconciler.verbs import watch
from tests import faults
from tests.clocks import StoppedClock
from tests.crash.stage import serving_a, want
from tests.faults import said
from tests.stack import COMMAND_SECONDS, Stack, stack
from tests.watched_world import WatchedWorld


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


class Loss(NamedTuple):
    """One way in which a journal is lost under a watch, what is said, and how it comes back."""

    fault: Callable[[Path], None]
    sentence: str
    fix: Callable[[Path], None]


LOSSES = {
    "full": Loss(
        faults.full,
        "free space or fix the permissions. Nothing more is done until then",
        faults.emptied,
    ),
    "taken": Loss(
        faults.taken,
        "is gone, so nothing more is done. Put the old one back and run",
        faults.returned,
    ),
    "forgotten": Loss(
        faults.taken, "without it the next command begins a new one, adopts engines", lambda _: None
    ),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_journal_that_is_lost_ends_the_watch_and_no_engine_and_the_next_one_goes_on(
    here: Stack, loss: Loss
) -> None:
    where = here.folder / "data"
    with faults.disk(where) as is_disk:
        with here.watching(code=5) as process:
            here.becomes("tiny-a")
            engines = here.engines()
            if loss.fault is faults.full and not is_disk:
                faults.limited(process.pid, where)
            else:
                loss.fault(where)
            here.desire("tiny-b")
            assert process.wait(COMMAND_SECONDS) == 5
            assert loss.sentence in here.watched()
            assert here.engines() == engines
            assert here.talk()["cache_n"] >= 0
        loss.fix(where)
        with here.watching():
            here.becomes("tiny-b")


def test_a_read_only_disk_lets_nothing_begin_and_nothing_end(here: Stack) -> None:
    where = here.folder / "data"
    with faults.disk(where) as is_disk:
        here.apply()
        engines = here.engines()
        faults.read_only(where, is_disk=is_disk)
        here.desire("tiny-b")
        for words in (["watch"], ["apply", "--yes"]):
            refused = here.run(*words)
            assert refused.returncode == 1
            assert f"{where}/lock cannot be opened: " in refused.stderr
            assert "choose another place with --data" in refused.stderr
        assert here.engines() == engines
        faults.writable(where, is_disk=is_disk)
        with here.watching():
            here.becomes("tiny-b")


def test_a_damaged_journal_is_said_and_moved_aside_as_the_sentence_says(here: Stack) -> None:
    here.apply()
    engines = here.engines()
    faults.damaged(here.folder / "data")
    refused = here.run("watch")
    assert refused.returncode == 5
    assert "is damaged: row " in refused.stderr
    way_out = refused.stderr.split("move it aside (")[1].split(")")[0]
    subprocess.run(way_out.split(), check=True)
    with here.watching():
        here.becomes("tiny-a")
        assert here.engines() == engines
        here.desire("tiny-b")
        here.becomes("tiny-b")


def test_a_journal_on_a_network_file_system_ends_the_watch_and_no_engine(here: Stack) -> None:
    here.apply()
    engines, mounts = here.engines(), here.folder / "mountinfo"
    mounts.write_text(
        f"25 1 8:1 / / rw - ext4 /dev/sda1 rw\n26 25 0:1 / {here.folder}/nas rw - nfs4 nas:/ rw\n"
    )
    app = build(settings(here.environment(), str(here.folder / "state"), str(here.folder / "nas")))
    elsewhere = JournalFile(here.folder / "nas" / "journal", app.clock, mounts=mounts)
    with pytest.raises(ExceptionGroup) as refused:
        app.run(watch.run, replace(app, journal=SqliteJournal(elsewhere)), print, nullcontext)
    error = refused.value
    while isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, NetworkFileSystem)
    assert (error.exit_code, "Choose a local disk: --data DIR" in error.message) == (5, True)
    assert here.engines() == engines
    with here.watching():
        here.desire("tiny-b")
        here.becomes("tiny-b")


@pytest.mark.parametrize("days", [1, -1])
def test_a_journal_from_another_time_stops_no_switch_and_ends_no_hold(
    here: Stack, days: int
) -> None:
    now = SystemClock().wall()
    journal = JournalFile(here.folder / "data" / "journal", StoppedClock(now + days * DAY_SECONDS))
    journal.append(Hold(host="local", reason="a game", until=now + days * DAY_SECONDS / 2))
    with here.watching():
        if days > 0:
            said(here, ": a game; `reconciler resume local` ends it", 0)
            assert here.engines() == {}
            assert here.run("resume", "--yes").returncode == 0
        here.becomes("tiny-a")
        here.desire("tiny-b")
        here.becomes("tiny-b")


@pytest.mark.parametrize("seconds", [DAY_SECONDS, -DAY_SECONDS])
def test_a_clock_that_jumps_under_a_watch_is_no_reason_to_act_and_none_to_stop(
    seconds: float,
) -> None:
    watched = WatchedWorld(serving_a())

    async def script() -> None:
        async with watched.watching() as watcher:
            await anyio.sleep(60.0)
            rows = watched.journal.newest()
            watched.world.clock.ahead += seconds
            await anyio.sleep(1000.0)
            assert watched.journal.newest() == rows
            watched.edit(want("b"))
            await anyio.sleep(60.0)
            assert set(watched.world.serving()) == {"b"}
            watcher.look()

    watched.world.clock.run(script)
    assert watched.world.violations == []
