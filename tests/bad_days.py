"""Bad days of a stack under a watch: what a day is, and how it is lived through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests import faults
from tests.faults import said
from tests.repository import repository
from tests.running import until
from tests.stack import Stack, stack


class Day(NamedTuple):
    """One bad day: what happens, what the watch and apply say, and how it goes away.

    Once it has gone away, the watch brings the other model by itself. Apply is run meanwhile, and
    exits with `code`, unless that is 0.
    """

    fault: faults.Fault
    sentence: str
    fix: faults.Fault = faults.fixed
    code: int = 1
    answer: str = ""


WITHOUT_EFFECT = {"asked", "answered", "adopted"}
"""What the journal may say of a day that changes nothing; of two files that are saved one after the
other, a watch may follow the first by itself, and adopts what serves."""


SPARE = 4
"""How many more files and threads a watch may have in the end: fewer than it has days."""


def held_by(pid: int) -> tuple[int, int]:
    """How many files and threads a process has."""
    files, threads = (len(list(Path(f"/proc/{pid}/{what}").iterdir())) for what in ("fd", "task"))
    return files, threads


@contextmanager
def watched_stack(folder: Path) -> Iterator[Stack]:
    """A stack that is in git, under a watch that holds as many files and threads in the end."""
    with stack(folder) as made:
        repository(made.folder)
        with made.watching() as process:
            made.becomes("tiny-a")
            before = held_by(process.pid)
            yield made
            until(
                lambda: all(
                    now <= then + SPARE
                    for now, then in zip(held_by(process.pid), before, strict=True)
                )
            )


def lives_through(here: Stack, day: Day) -> None:
    """Show that a day harms nothing that serves, is told, and ends with its cause."""
    wanted, engines, rows, before = (
        faults.other(here),
        here.engines(),
        here.rows(),
        len(here.watched()),
    )
    day.fault(here)
    if day.code:
        asked = here.run("apply", "--yes")
        assert asked.returncode == day.code, asked.stdout + asked.stderr
        assert (day.answer or day.sentence) in asked.stdout + asked.stderr
    said(here, day.sentence, before)
    assert here.engines() == engines
    assert set(here.moments(rows)) <= WITHOUT_EFFECT
    assert here.talk()["cache_n"] >= 0
    day.fix(here)
    here.becomes(wanted)


def settled(here: Stack) -> None:
    """Have tiny-a serve, with both models as they should be."""
    faults.cleared(here.folder / "state" / "desired.yaml")
    here.inventory()
    here.desire("tiny-a")
    here.becomes("tiny-a")
