"""Trial: whether what was started stays healthy, judged by observation alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from reconciler.loop.executor import Interrupt
from reconciler.loop.observer import Observer
from reconciler.model.facts import FactKey, Health, Observed, Unit, UnitIdentity
from reconciler.model.spec import Slice
from reconciler.ports import Clock

LONGEST_LOOK = 0.5
WORTH_SAYING_SECONDS = 1.0
FORGIVEN = 3
"""An engine that does not answer, or cannot be asked, fails a trial when that is seen more often in a row than this."""


class Trouble(NamedTuple):
    """Say what is wrong with a unit; what is not `certain` may be a hiccup."""

    reason: str
    certain: bool


def tell(units: Iterable[str], slice_: Slice, say: Callable[[str], None]) -> None:
    """Say that a wait begins that takes its time, and what for."""
    names, seconds = sorted(units), slice_.stable_for(units)
    if seconds > WORTH_SAYING_SECONDS:
        is_up, it = ("are up", "they count") if len(names) > 1 else ("is up", "it counts")
        say(f"{', '.join(names)} {is_up}; watched for {seconds:.0f} s (stable_for) before {it} as good")


async def judge(units: Mapping[str, UnitIdentity], slice_: Slice, observer: Observer, clock: Clock, interrupt: Interrupt) -> str:
    """Watch units for as long as their models ask for; return why one failed, empty when all stayed healthy."""
    host = slice_.host.name
    stable_for = slice_.stable_for(units)
    keys = [FactKey("health", host, name) for name in units]
    until = clock.boot() + stable_for
    hiccups = 0
    while True:
        world = await observer.look(keys)
        if _troubles(world, host, units):
            # One that dies stops answering a moment before it is gone.
            world = await observer.look([FactKey("unit", host, name) for name in units], world)
        troubles = _troubles(world, host, units)
        hiccups = hiccups + 1 if troubles else 0
        if troubles and (troubles[0].certain or hiccups > FORGIVEN):
            return troubles[0].reason
        remaining = until - clock.boot()
        if (remaining <= 0 and not hiccups) or interrupt.reason:
            return ""
        await clock.sleep(LONGEST_LOOK if hiccups else min(LONGEST_LOOK, max(remaining, 0.05)))


def _troubles(world: Observed, host: str, units: Mapping[str, UnitIdentity]) -> list[Trouble]:
    """Return what is wrong with the units, what is certain first."""
    found = [_trouble(world, host, name, identity) for name, identity in units.items()]
    return sorted((one for one in found if one), key=lambda one: not one.certain)


def _trouble(world: Observed, host: str, model_name: str, identity: UnitIdentity) -> Trouble | None:
    """Return why a unit is not what it was, None when it is."""
    unit_key, health_key = FactKey("unit", host, model_name), FactKey("health", host, model_name)
    for key in (unit_key, health_key):
        unknown = world.unknown(key)
        if unknown is not None:
            return Trouble(f"{key} could not be read in the trial: {unknown.reason}", certain=False)
    unit = world.value(unit_key, Unit)
    if unit is None or unit.identity != identity or not unit.leader:
        how = f": {unit.ended}" if unit is not None and unit.ended else ""
        return Trouble(f"{model_name} died in its trial{how}", certain=True)
    health = world.value(health_key, Health)
    # It gave a real answer a moment ago. What it says now that nobody understands is for the plan to name, and no death.
    if health is not None and (health.serves or health.phase == "unclear"):
        return None
    phase, message = (health.phase, health.message) if health else ("unhealthy", "")
    return Trouble(f"{model_name} became {phase} in its trial: {message}", certain=phase != "unresponsive")
