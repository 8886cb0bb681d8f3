"""A story: something that is wanted of a world, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.fakes.processes import Conversation
from tests.crash.stage import TALK, Stage, want

TEA, CAKE = TALK, Conversation("cake", 300)


@dataclass(frozen=True)
class Story:
    """A wish: `begin` sets the stage, `over` checks the end, a `long` one waits for minutes."""

    begin: Callable[[], Stage]
    over: Callable[[Stage], None]
    long: bool = False


STORIES: dict[str, Story] = {}


def story(
    over: Callable[[Stage], None], *, long: bool = False
) -> Callable[[Callable[[], Stage]], Callable[[], Stage]]:
    def add(begin: Callable[[], Stage]) -> Callable[[], Stage]:
        STORIES[begin.__name__] = Story(begin, over, long)
        return begin

    return add


def serves(*names: str) -> Callable[[Stage], None]:
    def over(stage: Stage) -> None:
        assert sorted(stage.world.serving()) == sorted(names)
        assert len(stage.world.units()) == len(names)

    return over


def remembers(*conversations: Conversation) -> Callable[[Stage], None]:
    def over(stage: Stage) -> None:
        serves("a")(stage)
        for one in conversations:
            assert stage.world.talk("a", one) == one.tokens, f"{one.name} is lost"

    return over


def keeps_on_disk(*names: str) -> Callable[[Stage], None]:
    def over(stage: Stage) -> None:
        serves(*names)(stage)
        kept = [
            file.sidecar.tokens
            for file in stage.world.files
            if file.model == "a" and file.sidecar and file.holds
        ]
        assert kept == [TEA.tokens]

    return over


def wants(stage: Stage, *active: str, **changed: object) -> Stage:
    stage.wanted = want(*active, **changed)
    return stage
