"""A controller killed at any call or row, twice if need be, still brings about the wish.

Every story is cut short at each call at which it would leave something else; then pairs and triples
of deaths are drawn by a seed, the story's name, until the floor is reached. `make crash` draws
twenty times as many.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from itertools import accumulate

import pytest

from reconciler.fakes.life import Life
from tests.crash import stories  # noqa: F401 - adds them
from tests.crash.stage import Stage, as_it_is
from tests.crash.story import STORIES, Story

FLOOR = 100_000 if "CRASH_COMPLETE" in os.environ else 5000
EACH = FLOOR // sum(not story.long for story in STORIES.values()) + 1
STRIDE = 4
MOST_COMMANDS = 6
LONGEST_WAIT = 60
DEADLY = ("restore, done",) * 5


class Watched(Life):
    """A whole life: what it would leave if it ended at each of its calls."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage, self.leaves = stage, list[tuple[int, str, str]]()

    def cross(self, call: str) -> None:
        self.leaves.append(self.stage.left())
        super().cross(call)


def moments(stage: Stage) -> tuple[int, ...]:
    """The calls of the next command at which a death leaves something else than before.

    What follows depends on nothing but what is left: most calls only look. A long wait makes the
    same calls repeatedly.
    """
    here = stage.copied()
    life = Watched(here)
    here.lives(life)
    firsts = {left: number for number, left in reversed([*enumerate(life.leaves)])}
    same = list(
        accumulate(
            life.calls,
            lambda since, call: 0 if call in life.acts or "append" in call else since + 1,
            initial=0,
        )
    )
    return tuple(number for number in sorted(firsts.values()) if same[number] < LONGEST_WAIT)


def schedules(story: Story, stage: Stage, chance: random.Random) -> Iterator[tuple[int, ...]]:
    """The calls at which one command after the other dies: single ones, then pairs and triples."""
    calls = moments(stage)
    if story.long:
        yield from ((call,) for call in calls[::STRIDE])
        return
    yield from ((call,) for call in calls)
    for number in range(max(0, EACH - len(calls))):
        yield tuple(chance.choice(calls) for _ in range(2 + number % 2))


def played(
    stage: Stage, deaths: tuple[int | str, ...], after_each: Callable[[Stage], object] = as_it_is
) -> Stage:
    """Let one command after the other die, then go on until one has nothing left to do."""
    here = stage.copied()
    for call in deaths:
        here.command(call)
        after_each(here)
    for _ in range(MOST_COMMANDS):
        life, verdict = here.command()
        assert verdict is not None
        if not life.acts and verdict.outcome in {"in_sync", "refused"}:
            return here
    raise AssertionError(f"still acting after {MOST_COMMANDS} commands: {here.said}")


def check(
    story: Story,
    stage: Stage,
    deaths: tuple[int | str, ...],
    after_each: Callable[[Stage], object] = as_it_is,
) -> None:
    try:
        here = played(stage, deaths, after_each)
        assert here.world.violations == []
        story.over(here)
    except AssertionError as error:
        raise AssertionError(f"killed at {deaths}: {error}") from error


@pytest.mark.parametrize("name", STORIES)
def test_a_controller_that_is_killed_anywhere_still_brings_about_what_is_wanted(name: str) -> None:
    story = STORIES[name]
    stage = story.begin()
    count = 0
    for deaths in schedules(story, stage, random.Random(name)):  # noqa: S311 - a seed that can be said again
        check(story, stage, deaths)
        count += 1
    assert story.long or count >= EACH


def test_a_saved_file_that_kills_engines_and_their_controller_is_given_up() -> None:
    story = STORIES["deadly_restore"]
    check(story, story.begin(), DEADLY)
