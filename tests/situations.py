"""Hosts that could be found, with wishes that the files could say, for hypothesis to draw."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st

from reconciler.core.planner import plan
from reconciler.core.recovery import Hints
from reconciler.model.gpu import GIB, Card, Holder
from reconciler.model.observed import Observed
from reconciler.model.port import PortOwner
from reconciler.render.json import plan_document
from reconciler.render.plan_document import PlanDocument
from reconciler.steps.plan import HostPlan
from tests.casefile import (
    Case,
    Given,
    ModelGiven,
    RoomGiven,
    RunningGiven,
    SavedGiven,
    SlotGiven,
    WantedGiven,
)
from tests.casework import seen, wanted_slice
from tests.sample_worlds import NO_HINTS, target, whole

T = TypeVar("T")


def ordinary(first: T, *others: T) -> st.SearchStrategy[T]:
    """Return the first value every other time, or hosts would nearly always be broken."""
    return st.sampled_from([first] * len(others) + list(others))


SLOT = st.builds(SlotGiven, tokens=ordinary(500, None, 4, 1200), busy=ordinary(False, True))
UNITS = st.builds(
    RunningGiven,
    pid=st.just(100),
    definition=ordinary("wanted", "older", "of another version"),
    phase=ordinary("ready", "loading", "sleeping", "unresponsive", "locked", "unclear", "other"),
    message=st.just("as it is"),
    slots=st.lists(SLOT, max_size=2).map(tuple),
    died=ordinary(False, True),
    keeps=ordinary("as wanted", "unknown", "otherwise", "elsewhere"),
)
SAVED_SLOTS = st.builds(
    SavedGiven,
    slot=st.integers(0, 1),
    tokens=st.sampled_from([500, 800]),
    fits=ordinary(True, False),
    tried=ordinary({}, {100: ("proven",)}, {100: ("open",)}, {100: ("failed",)}),
)
SAVES = st.lists(SAVED_SLOTS, max_size=2, unique_by=lambda slot: slot.slot).map(tuple)
ROOMS = (
    RoomGiven(free=0),
    RoomGiven(free=10**9, budget=1200),
    RoomGiven(free=10**9, obstacle="read-only", nearest="/srv"),
)
HOLDERS = ordinary((), (Holder(pid=7, name="x"),), (Holder(pid=100, bytes=15 * GIB),))
CARDS = st.lists(
    st.builds(
        Card,
        total=st.just(24 * GIB),
        free=st.sampled_from([24 * GIB, 8 * GIB, GIB]),
        holders=HOLDERS,
    ),
    max_size=2,
).map(
    lambda cards: tuple(
        card.model_copy(update={"index": index}) for index, card in enumerate(cards)
    )
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return a host that could be found, and a wish that the files could say."""
    apart = draw(st.booleans())
    models = {
        name: ModelGiven(
            port=8081 if apart and name == "b" else 8080,
            vram=draw(ordinary(None, 4 * GIB, 20 * GIB)),
            gpus=draw(ordinary((), (0,), (1, 0))),
            conversations=draw(ordinary("keep", "drop", "require")),
        )
        for name in ("a", "b")
    }
    both = [("a", "b")] if apart else []
    active = draw(st.sampled_from([None, (), ("a",), ("b",), *both]))
    runs = draw(st.sampled_from([(), ("a",), ("b",), *both]))
    found = Given(
        power=draw(ordinary("on", "off", "suspended")),
        cannot=draw(ordinary((), ("wake",), ("shut_down",))),
        running={
            name: draw(UNITS).model_copy(update={"pid": 100 + "ab".index(name)}) for name in runs
        },
        orphans=draw(
            ordinary(
                {},
                {"gone": RunningGiven(pid=7)},
                {"gone": RunningGiven(pid=7, phase="unresponsive")},
            )
        ),
        saved={name: draw(SAVES) for name in models},
        room=draw(ordinary({}, *({"a": one} for one in ROOMS))),
        gpu=draw(CARDS),
        ports=draw(ordinary({}, {8080: PortOwner(pid=9, name="nginx")})) if not runs else {},
    )
    wish = WantedGiven(
        power=draw(ordinary(None, "on", "off", "suspend")), active=active, models=models
    )
    return Case(says="", wanted=wish, given=found, prune=draw(st.booleans()))


def made(case: Case, world: Observed | None = None, known: Hints = NO_HINTS) -> HostPlan:
    return plan(
        target(wanted_slice(case)), seen(case) if world is None else world, known, prune=case.prune
    )


def document(made_: HostPlan) -> PlanDocument:
    return plan_document(whole(made_))
