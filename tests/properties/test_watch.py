"""Whatever is edited and asked of a watch, in any order, the world ends as the file says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import anyio
from anyio.abc import TaskGroup
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.canonical import digest
from reconciler.fakes.processes import Conversation, Nature
from reconciler.model.records import Hold, Restart, Resume, Retry
from tests.crash.stage import Stage, want
from tests.sample_worlds import HOST, PORT_NUMBER, PROVENANCE, model
from tests.watched_world import WatchedWorld

ACTIVES = ((), ("a",), ("b",), ("a", "b"))
ACTS = 100
SETTLED = 1500.0
"""Longer than the longest wait after a failure."""

Deed: TypeAlias = Literal[
    "edit", "other edit", "broken", "definition", "apply", "retry", "restart", "hold", "release",
    "hold now", "resume", "rollback", "crash", "talk", "bad model", "good models",
]  # fmt: skip
DEEDS = ("edit", "edit", *get_args(Deed))


@dataclass(frozen=True)
class Act:
    """One thing that a person does, and how long it is until the next."""

    deed: Deed
    active: tuple[str, ...]
    then: float


acts = st.builds(
    Act,
    st.sampled_from(DEEDS),
    st.sampled_from(ACTIVES),
    st.sampled_from((0.0, 0.01, 0.3, 2.0, 20.0)),
)


class Somebody:
    """Edit and ask, without waiting for an answer."""

    def __init__(self, watched: WatchedWorld, asking: TaskGroup) -> None:
        self.watched, self.asking = watched, asking
        self.versions = {"a": 0, "b": 0}
        self.active: tuple[str, ...] = ("a",)
        self.tokens = 100

    def write(self) -> None:
        """Define both models, on ports of their own only when both are wanted."""
        ports = {"a": PORT_NUMBER, "b": PORT_NUMBER + 1 if len(self.active) > 1 else PORT_NUMBER}
        models = tuple(
            model(name, port=ports[name], digest=digest([name, self.versions[name], ports[name]]))
            for name in "ab"
        )
        self.watched.edit(want(*self.active).model_copy(update={"models": models}))

    def does(self, act: Act) -> None:
        match act.deed:
            case "edit":
                self.active = act.active
                self.write()
            case "other edit":
                self.watched.edit(
                    self.watched.stage.wanted, PROVENANCE.model_copy(update={"commit": "f" * 40})
                )
            case "broken":
                self.watched.edits.write("ConfigError: it is broken")
                self.watched.edits.write(self.watched.now())
            case "definition":
                self.versions[(act.active or ("a",))[0]] += 1
                self.write()
            case "crash" | "talk" | "bad model" | "good models":
                self.disturbs(act)
            case _:
                self.asks(act)

    def disturbs(self, act: Act) -> None:
        world = self.watched.world
        match act.deed:
            case "crash":
                world.crash((act.active or ("a",))[0])
            case "talk":
                self.tokens += 10
                for name in world.serving():
                    world.talk(name, Conversation("tea", self.tokens))
            case "bad model":
                for spec in self.watched.stage.wanted.models[:1]:
                    world.natures[spec.digest] = Nature(dies_after=0.5)
            case _:
                world.natures.clear()

    def asks(self, act: Act) -> None:
        until = self.watched.world.clock.wall() + 50.0
        noting: dict[str, tuple[Retry | Restart | Hold | Resume, ...]] = {
            "retry": (Retry(host=HOST),),
            "restart": tuple(
                Restart(host=HOST, model=one.mark.model, identity=one.identity)
                for one in self.watched.world.units()
                if one.mark
            ),
            "resume": (Resume(host=HOST),),
            "hold": (Hold(host=HOST, reason="a game"),),
            "release": (Hold(host=HOST, reason="a game", release=True),),
            "hold now": (Hold(host=HOST, reason="a game", now=True, until=until),),
        }
        if act.deed == "rollback":
            self.asking.start_soon(self.watched.roll_back)
        else:
            self.asking.start_soon(self.watched.ask, act.deed, *noting.get(act.deed, ()))


async def all_of_it(watched: WatchedWorld, deeds: list[Act]) -> None:
    async with watched.watching(), anyio.create_task_group() as asking:
        somebody = Somebody(watched, asking)
        for act in deeds:
            somebody.does(act)
            await anyio.sleep(act.then)
        watched.world.natures.clear()
        asking.start_soon(watched.ask, "resume", Resume(host=HOST))
        somebody.versions["a"] += 1
        somebody.write()
        await anyio.sleep(SETTLED)


@settings(max_examples=5, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
@given(st.lists(acts, min_size=ACTS, max_size=ACTS))
def test_after_a_hundred_edits_and_requests_the_world_is_as_the_file_says(deeds: list[Act]) -> None:
    watched = WatchedWorld(Stage())
    watched.world.clock.run(all_of_it, watched, deeds)
    assert watched.world.violations == []
    assert watched.stage.is_as_wanted(), watched.said[-20:]
