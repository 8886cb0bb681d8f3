"""Trial: whether what was started stays healthy, judged by observation alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from reconciler.loop.interrupt import Interrupt
from reconciler.loop.observer import Observer
from reconciler.model.facts import UnitIdentity
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
    if seconds > WORTH_SAYING_SECONDS:
        is_up, it = ("are up", "they count") if len(names) > 1 else ("is up", "it counts")
        say(
            f"{', '.join(names)} {is_up}; watched for {seconds:.0f} s (stable_for) before {it} as"
            " good"
        )


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
    host, names = units.host, units.identities
    stable_for = slice_.stable_for(names)
    keys = [HEALTH(host, name) for name in names]
    until = clock.boot() + stable_for
    hiccups = 0
    while True:
        world = await observer.look(keys)
        if _troubles(world, units):
            # One that dies stops answering a moment before it is gone.
            world = await observer.look([UNIT(host, name) for name in names], world)
        troubles = _troubles(world, units)
        hiccups = hiccups + 1 if troubles else 0
        if troubles and (troubles[0].certain or hiccups > FORGIVEN):
            return troubles[0].reason
        remaining = until - clock.boot()
        if (remaining <= 0 and not hiccups) or interrupt.reason:
            return ""
        await clock.sleep(LONGEST_LOOK if hiccups else min(LONGEST_LOOK, max(remaining, 0.05)))


async def otherwise(units: Units, observer: Observer) -> str:
    """Return what the started units serve instead of what the inventory says.

    They work, so nothing is gone back on for it.
    """
    names = [name for name in units.identities if name in units.started]
    world = await observer.look([HEALTH(units.host, name) for name in names])
    healths = {name: world.value(HEALTH(units.host, name)) for name in names}
    return "; ".join(
        f"{name}: {health.reason}"
        for name, health in healths.items()
        if health and health.phase == "other"
    )


async def ended(host: str, model_names: Iterable[str], observer: Observer) -> str:
    """Return who of these models, which nobody tries, runs no more."""
    names = sorted(model_names)
    world = await observer.look([UNIT(host, name) for name in names])
    gone = [
        name
        for name in names
        if world.unknown(UNIT(host, name)) is None and world.value(UNIT(host, name)) is None
    ]
    return "; ".join(f"{name}: it ended while others were tried" for name in gone)


def _troubles(world: Observed, units: Units) -> list[Trouble]:
    """Return what is wrong with the units, what is certain first."""
    found = [_trouble(world, units, name) for name in units.identities]
    return sorted((one for one in found if one), key=lambda one: not one.certain)


def _trouble(world: Observed, units: Units, model_name: str) -> Trouble | None:
    """Return why a unit is not what it was, None when it is."""
    unit_key, health_key = UNIT(units.host, model_name), HEALTH(units.host, model_name)
    for key in (unit_key, health_key):
        unknown = world.unknown(key)
        if unknown is not None:
            return Trouble(f"{key} could not be read in the trial: {unknown.reason}", certain=False)
    unit = world.value(unit_key)
    if unit is None or unit.identity != units.identities[model_name] or not unit.leader:
        how = f": {unit.ended}" if unit is not None and unit.ended else ""
        return Trouble(f"{model_name} died in its trial{how}", certain=True)
    health = world.value(health_key)
    # Of what ran before, an answer that nobody understands is for the plan to name. What was just
    # started has to work.
    tolerated = health is not None and health.phase == "unclear" and model_name not in units.started
    if health is not None and (health.serves or tolerated):
        return None
    phase, message = (health.phase, health.message) if health else ("unhealthy", "")
    return Trouble(
        f"{model_name} became {phase} in its trial: {message}", certain=phase not in HICCUPS
    )
