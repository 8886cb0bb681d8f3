"""Trial: whether what was started stays healthy, judged by observation alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from reconciler.loop.interrupt import Interrupt
from reconciler.loop.observer import Observer
from reconciler.model.facts import Health, Unit, UnitIdentity
from reconciler.model.observed import HEALTH, UNIT, Observed
from reconciler.model.spec import Slice
from reconciler.ports import Clock

LONGEST_LOOK = 0.5
WORTH_SAYING_SECONDS = 1.0
HICCUPS = {"unresponsive", "unclear"}
FORGIVEN = 3
"""An engine that does not answer, or cannot be asked, fails a trial when that is seen more often in
a row than this."""


class Trouble(NamedTuple):
    """What is wrong with a unit; what is not `certain` may be a hiccup."""

    reason: str
    certain: bool


def tell(units: Iterable[str], slice_: Slice, say: Callable[[str], None]) -> None:
    """Say that a wait begins that takes its time, and what for."""
    names, seconds = sorted(units), slice_.stable_for(units)
    if seconds <= WORTH_SAYING_SECONDS:
        return
    is_up, it = ("are up", "they count") if len(names) > 1 else ("is up", "it counts")
    watched = f"watched for {seconds:.0f} s (stable_for) before {it} as good"
    say(f"{', '.join(names)} {is_up}; {watched}")


class Units(NamedTuple):
    """What is on trial: the units of a host, and which models among them the run has started."""

    host: str
    identities: Mapping[str, UnitIdentity]
    started: Collection[str]


async def judge(
    units: Units, slice_: Slice, observer: Observer, clock: Clock, interrupt: Interrupt
) -> str:
    """Watch units for as long as their models ask for.

    Return why one failed, empty when all stayed healthy.
    """
    until = clock.boot() + slice_.stable_for(units.identities)
    hiccups = 0
    while True:
        troubles = await _look(units, observer)
        hiccups = hiccups + 1 if troubles else 0
        if troubles and (troubles[0].certain or hiccups > FORGIVEN):
            return troubles[0].reason
        remaining = until - clock.boot()
        if (remaining <= 0 and not hiccups) or interrupt.reason:
            return ""
        await clock.sleep(LONGEST_LOOK if hiccups else min(LONGEST_LOOK, max(remaining, 0.05)))


async def _look(units: Units, observer: Observer) -> list[Trouble]:
    names = units.identities
    world = await observer.look([HEALTH(units.host, name) for name in names])
    if not _troubles(world, units):
        return []
    # One that dies stops answering a moment before it is gone.
    return _troubles(await observer.look([UNIT(units.host, name) for name in names], world), units)


async def otherwise(units: Units, observer: Observer) -> str:
    """What the started units serve instead of what the inventory says."""
    # They work, so nothing is gone back on for it (ADR 0018).
    keys = {name: HEALTH(units.host, name) for name in units.identities if name in units.started}
    world = await observer.look(keys.values())
    healths = {name: world.value(key) for name, key in keys.items()}
    return "; ".join(
        f"{name}: {health.reason}"
        for name, health in healths.items()
        if health and health.phase == "other"
    )


async def ended(units: Units, observer: Observer) -> str:
    """Which of these units, which are not on trial, run no more."""
    world = await observer.look([UNIT(units.host, name) for name in units.identities])
    gone = [name for name in sorted(units.identities) if _has_ended(world, units, name)]
    return "; ".join(f"{name}: it ended while others were tried" for name in gone)


def _has_ended(world: Observed, units: Units, model_name: str) -> bool:
    key = UNIT(units.host, model_name)
    is_known = world.unknown(key) is None
    return is_known and not _is_same(world.value(key), units.identities[model_name])


def _is_same(unit: Unit | None, identity: UnitIdentity) -> bool:
    return unit is not None and unit.identity == identity and unit.leader


def _troubles(world: Observed, units: Units) -> list[Trouble]:
    """What is wrong with the units, what is certain first."""
    found = [_trouble(world, units, name) for name in units.identities]
    return sorted((one for one in found if one), key=lambda one: not one.certain)


def _trouble(world: Observed, units: Units, model_name: str) -> Trouble | None:
    """Why a unit is not what it was, None when it is."""
    unit_key, health_key = UNIT(units.host, model_name), HEALTH(units.host, model_name)
    for key in (unit_key, health_key):
        unknown = world.unknown(key)
        if unknown is not None:
            return Trouble(f"{key} could not be read in the trial: {unknown.reason}", certain=False)
    unit = world.value(unit_key)
    if not _is_same(unit, units.identities[model_name]):
        return _death(unit, model_name)
    return _illness(world.value(health_key), model_name, is_new=model_name in units.started)


def _death(unit: Unit | None, model_name: str) -> Trouble:
    how = f": {unit.ended}" if unit is not None and unit.ended else ""
    return Trouble(f"{model_name} died in its trial{how}", certain=True)


def _illness(health: Health | None, model_name: str, *, is_new: bool) -> Trouble | None:
    if health is not None and health.serves:
        return None
    # Of what ran before, an answer that cannot be understood is for the plan to name. What was
    # just started has to work (ADR 0018).
    if health is not None and health.phase == "unclear" and not is_new:
        return None
    phase, message = (health.phase, health.message) if health else ("unhealthy", "")
    return Trouble(
        f"{model_name} became {phase} in its trial: {message}", certain=phase not in HICCUPS
    )
