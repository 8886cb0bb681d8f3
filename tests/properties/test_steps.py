"""The laws of a step, for every kind of step: a new kind is held to them as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Literal, TypeAlias, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model import power
from reconciler.model.facts import (
    Activity,
    Answer,
    Binary,
    Claim,
    Contact,
    Fact,
    Fingerprint,
    Flags,
    Health,
    Known,
    Phase,
    RestoreAttempt,
    Saved,
    Slot,
    Unit,
    Unknown,
    Weights,
)
from reconciler.model.gpu import GIB, Card, Gpu, Holder
from reconciler.model.observed import (
    ANSWERED,
    CLAIM,
    AnyFactKey,
    FactKey,
    FactKind,
    FactValue,
    Observed,
    V,
)
from reconciler.model.port import PortOwner, PortState
from reconciler.model.power import Canary, Guards, Login, Power, PowerState
from reconciler.model.preparation import Prepared
from reconciler.model.reason import Reason
from reconciler.model.traffic import Admitting, Traffic
from reconciler.steps.await_vram import Share
from reconciler.steps.plan import STEPS
from reconciler.steps.prefetch import Prefetch
from reconciler.steps.step import PREDICTED_IDENTITY, Step
from reconciler.steps.wake import Sleeper, Wake
from tests.sample_worlds import HOST, identity, saved_slot, unit

Situation: TypeAlias = tuple[Step, Observed]
Restored: TypeAlias = Literal["open", "proven", "cold", "unverified", "failed"]


def name_of(kind: type[Step]) -> str:
    return kind.__name__


KINDS = tuple(STEPS.values())
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=name_of)
QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
"""How busy the machine is decides nothing."""

MODELS, PORTS = ("a", "b"), (8080, 8081)
IDENTITIES = (identity(1), identity(2), PREDICTED_IDENTITY)
DIGESTS = ("v1:sha256:" + "1" * 64, "v1:sha256:" + "2" * 64)
SIZES = (0, GIB, 16 * GIB, 24 * GIB)
TRIED: tuple[tuple[Restored, ...], ...] = (
    (),
    ("open",),
    ("proven",),
    ("failed",),
    ("open", "open", "open"),
)
SLEEPERS = tuple(Sleeper(model=model, port=port) for model, port in zip(MODELS, PORTS, strict=True))
NOT_SEEN = Unknown("it hid")

SHARES = (
    (), (Share(card=0, need_bytes=GIB),),
    (Share(card=1, need_bytes=GIB), Share(card=0, need_bytes=16 * GIB, frees_bytes=GIB)),
)  # fmt: skip

FIELDS: dict[str, tuple[Any, ...]] = {
    "at_once": (3,), "host": (HOST,), "model": ("a",), "port": (8080,), "digest": DIGESTS,
    "deadline": (60.0,),
    "need_bytes": SIZES, "frees_bytes": SIZES, "shares": SHARES, "required": (True, False),
    "keeps": (True, False), "unsavable": (0, 2), "fingerprint": ("", "another"),
    "identity": (None, *IDENTITIES), "models": ((), ("a",), MODELS), "own": ((), (7,)),
    "force": (False, True), "checks": (False, True), "checked": (False, True),
    "ends": ("off", "suspended"),
}  # fmt: skip
"""What each field of any step may be."""


def units() -> Iterator[Unit | None]:
    """Return both ordinary ones first: no unit, and one whose leader runs."""
    yield None
    for who, made_from, leader, started_at in product(
        IDENTITIES, DIGESTS, (True, False), (None, 5.0)
    ):
        yield unit("a", 1, digest=made_from, leader=leader, started_at=started_at).model_copy(
            update={"identity": who}
        )


def activities() -> Iterator[Activity]:
    yield Activity(calm=True)
    for tokens, busy, deferred in product((None, 5, 500), (True, False), (0, 1)):
        first = Slot(id=0, busy=busy, tokens=tokens, task=1)
        yield Activity(slots=(first,), deferred=deferred, calm=not (busy or deferred))
        yield Activity(slots=(first, Slot(id=1, busy=False, tokens=800, task=7)), deferred=deferred)


def saves() -> Iterator[Saved]:
    yield Saved()
    for made_by, outcomes, who in product(MODELS, TRIED, IDENTITIES):
        attempts = tuple(RestoreAttempt(identity=who, outcome=outcome) for outcome in outcomes)
        first = saved_slot(made_by, identity=who, attempts=attempts)
        yield Saved(slots=(first,))
        yield Saved(slots=(first, saved_slot("a", 800, slot=1, task=7)))


def gpus() -> Iterator[Gpu]:
    yield Gpu()
    for total, free, holders in product(
        SIZES, SIZES, ((), (Holder(pid=7),), (Holder(pid=7, bytes=GIB),))
    ):
        card = Card(total=total, free=min(free, total), holders=holders)
        yield Gpu(cards=(card,))
        yield Gpu(cards=(card, Card(index=1, total=16 * GIB, free=16 * GIB)))
        yield Gpu(cards=(card, Card(index=1, total=24 * GIB, free=0)))


VALUES: dict[FactKind, tuple[FactValue, ...]] = {
    "admitting": tuple(Admitting(identity=who) for who in (None, *IDENTITIES)),
    "traffic": (Traffic(), Traffic(in_flight=2, used=5.0)),
    "contact": (Contact(boot_id="boot"),),
    "testimony": (
        None,
        *(power.Testimony(state=state, words="it says so") for state in get_args(PowerState)),
    ),
    "canary": (Canary(address="the gateway"),),
    "power": tuple(Power(state=state) for state in get_args(PowerState)),
    "guards": (
        Guards(),
        Guards(logins=(Login(user="ana", place="tty1"),)),
        Guards(wake_problem=Reason("its card is deaf")),
    ),
    "prepared": tuple(Prepared(digest=digest) for digest in (*DIGESTS, "")),
    "claim": (None, Claim(controller="x", name="x", directory="/", at=0.0)),
    "gpu": tuple(gpus()),
    "orphans": ((), (unit("gone"),)),
    "unit": tuple(units()),
    "port": (
        PortState(),
        *(PortState(owner=PortOwner(pid=9, name="it", model=model)) for model in (None, *MODELS)),
    ),
    "health": tuple(
        Health(phase=phase, message="as it is") for phase in ("ready", *get_args(Phase))
    ),
    "answered": tuple(Answer(identity=who) for who in (None, *IDENTITIES)),
    "activity": tuple(activities()),
    "saved": tuple(saves()),
    "weights": tuple(
        Weights(path="a", exists=True, problem=bad, keepable=keep)
        for bad in ("", "gone")
        for keep in (True, False)
    ),
    "binary": (Binary(path="llama-server"), Binary(path="llama-server", problem=Reason("gone"))),
    "flags": (Flags(), Flags(problem="--x: unknown to llama-server")),
    "fingerprint": tuple(
        Fingerprint(digest=model, changed_at=at) for model in MODELS for at in (0.0, 9.0)
    ),
}
"""What may be seen of each kind of fact, the ordinary first."""

ORDINARY: dict[FactKind, int] = {"unit": 2}
"""How many values of a kind are ordinary, where it is not one."""


class Watched(Observed):
    """A world that remembers what was looked at."""

    __slots__ = ("looked",)

    def __init__(self, world: Observed) -> None:
        super().__init__({key: world.fact(key) for key in world})
        self.looked: set[AnyFactKey] = set()

    def fact(self, key: FactKey[V]) -> Fact[V | None]:
        self.looked.add(key)
        return super().fact(key)


def steps(kind: type[Step]) -> st.SearchStrategy[Step]:
    fields = FIELDS | ({"models": (SLEEPERS,)} if kind is Wake else {})
    return st.builds(
        kind,
        **{name: st.sampled_from(fields[name]) for name in kind.model_fields if name != "kind"},
    )


def ordinary(kind: FactKind) -> st.SearchStrategy[FactValue]:
    """Return what is seen when all is well."""
    return st.sampled_from(VALUES[kind][: ORDINARY.get(kind, 1)])


def mostly_ordinary(kind: FactKind) -> st.SearchStrategy[FactValue]:
    """The ordinary in two of three draws; else a world of many facts would hardly be sound."""
    return st.sampled_from((True, True, False)).flatmap(
        lambda well: ordinary(kind) if well else st.sampled_from(VALUES[kind])
    )


@st.composite
def situations(draw: st.DrawFn, kind: type[Step]) -> Situation:
    """A step and a world around it: all is well, but now and then a fact is odd or hidden."""
    step = draw(steps(kind))
    well = draw(st.booleans())
    beside = (CLAIM(HOST), ANSWERED(HOST, "b"))
    facts: dict[AnyFactKey, Fact[FactValue]] = {
        key: Known(draw(ordinary(key.kind) if well else mostly_ordinary(key.kind)))
        for key in dict.fromkeys((*step.reads(), *beside))
    }
    hidden = None if well else draw(st.none() | st.sampled_from(list(facts)))
    return step, Observed(facts | ({hidden: NOT_SEEN} if hidden else {}))


def every(kind: type[Step], law: Callable[[Step, Observed], bool]) -> None:
    """Check a law in many situations, to at least one of which it must apply."""
    spoke: list[bool] = []

    @QUICK
    @given(situations(kind))
    def hold(situation: Situation) -> None:
        spoke.append(law(*situation))

    hold()
    assert any(spoke), "no situation was one that the law speaks of"


def changed(before: Observed, after: Observed) -> set[AnyFactKey]:
    """The keys whose facts differ; to predict what is seen already is no difference."""
    return {key for key in {*before, *after} if value(before, key) != value(after, key)}


def value(world: Observed, key: AnyFactKey) -> object:
    fact = world.fact(key)
    return fact if isinstance(fact, Unknown) else fact.value


def test_there_is_a_value_for_every_kind_of_fact() -> None:
    assert set(VALUES) == set(get_args(FactKind))


@EVERY_KIND
def test_a_step_that_is_not_blocked_holds_in_the_world_it_predicts(kind: type[Step]) -> None:
    def law(step: Step, world: Observed) -> bool:
        free = not step.blocked_by(world)
        assert not free or step.holds(step.predict(world))
        return free

    every(kind, law)


@EVERY_KIND
def test_a_step_that_holds_is_predicted_to_change_nothing(kind: type[Step]) -> None:
    def law(step: Step, world: Observed) -> bool:
        after = step.predict(world)
        for seen in (world, after):
            assert not step.holds(seen) or changed(seen, step.predict(seen)) == set()
        return step.holds(after)

    every(kind, law)


@EVERY_KIND
def test_a_step_predicts_nothing_outside_what_it_reads_and_signs_what_it_predicts(
    kind: type[Step],
) -> None:
    def law(step: Step, world: Observed) -> bool:
        after = step.predict(world)
        touched = {key for key in after if after.fact(key) != world.fact(key)}
        assert touched <= set(step.reads())
        assert {getattr(after.fact(key), "by", "nobody") for key in touched} <= {step.kind}
        return bool(touched) or kind is Prefetch

    every(kind, law)


@EVERY_KIND
def test_a_step_looks_at_nothing_outside_what_it_reads(kind: type[Step]) -> None:
    def law(step: Step, world: Observed) -> bool:
        watched = Watched(world)
        step.blocked_by(watched)
        step.holds(watched)
        step.cannot_succeed_reason(watched)
        step.outcome(watched)
        assert watched.looked <= set(step.reads())
        return bool(watched.looked) or kind is Prefetch

    every(kind, law)


@EVERY_KIND
def test_what_ends_a_wait_is_looked_at_while_it_is_waited_and_so_is_what_the_step_changed(
    kind: type[Step],
) -> None:
    """A wake or shutdown changes everything, which is looked at before anything else is planned."""

    def law(step: Step, world: Observed) -> bool:
        looked, watched = set(step.looks(world)), Watched(world)
        step.holds(watched)
        step.cannot_succeed_reason(watched)
        after = step.predict(world)
        touched = {key for key in after if after.fact(key) != world.fact(key)}
        assert watched.looked <= looked <= set(step.reads())
        assert step.of_power or touched <= looked
        return bool(watched.looked) or kind is Prefetch

    every(kind, law)


@EVERY_KIND
def test_what_a_step_says_depends_on_its_reads_alone_and_not_on_their_order(
    kind: type[Step],
) -> None:
    def law(step: Step, world: Observed) -> bool:
        same = Observed({key: world.fact(key) for key in reversed(step.reads())})
        assert step.blocked_by(same) == step.blocked_by(world) == step.blocked_by(world)
        assert (step.holds(same), step.cannot_succeed_reason(same)) == (
            step.holds(world),
            step.cannot_succeed_reason(world),
        )
        return True

    every(kind, law)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not Prefetch], ids=name_of)
def test_hiding_a_fact_never_makes_a_step_hold(kind: type[Step]) -> None:
    """Nobody looks at the page cache, so a prefetch always counts as done."""

    def law(step: Step, world: Observed) -> bool:
        assert not step.holds(Observed())
        holds_when_hidden = [
            key for key in step.reads() if step.holds(world.seeing({key: NOT_SEEN}))
        ]
        assert not holds_when_hidden or step.holds(world)
        return not step.holds(world)

    every(kind, law)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.destructive], ids=name_of)
def test_any_unknown_among_the_reads_of_a_destructive_step_blocks_it_by_name(
    kind: type[Step],
) -> None:
    def law(step: Step, world: Observed) -> bool:
        for key in step.reads():
            assert f"{key}: it hid" in step.blocked_by(world.seeing({key: NOT_SEEN}))
        return True

    every(kind, law)


@EVERY_KIND
def test_a_step_survives_being_written_down(kind: type[Step]) -> None:
    def law(step: Step, world: Observed) -> bool:
        again = kind.model_validate_json(step.model_dump_json())
        assert again == step
        assert again.blocked_by(world) == step.blocked_by(world)
        return True

    every(kind, law)
