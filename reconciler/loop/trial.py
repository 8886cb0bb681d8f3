"""Trial: whether what was started stays healthy, judged by observation alone."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.loop.executor import Interrupt
from reconciler.loop.observer import Observer
from reconciler.model.facts import FactKey, Health, Observed, Unit, UnitIdentity
from reconciler.model.spec import Slice
from reconciler.ports import Clock

LONGEST_LOOK = 0.5
HEALTHY = {"ready", "sleeping"}
FORGIVEN = 3
"""A health that cannot be read this often in a row fails a trial; fewer are a hiccup."""


async def judge(units: Mapping[str, UnitIdentity], slice_: Slice, observer: Observer, clock: Clock, interrupt: Interrupt) -> str:
    """Watch units for as long as their models ask for; return why one failed, empty when all stayed healthy."""
    host = slice_.host.name
    stable_for = max((model.stable_for for model in slice_.models if model.name in units), default=0.0)
    keys = [FactKey("health", host, name) for name in units]
    until = clock.boot() + stable_for
    unreadable = 0
    while True:
        world = await observer.look(keys)
        if any(_trouble(world, host, name, identity) for name, identity in units.items()):
            # One that dies stops answering a moment before it is gone.
            world = await observer.look([FactKey("unit", host, name) for name in units], world)
        trouble = [_trouble(world, host, name, identity) for name, identity in units.items()]
        unreadable = unreadable + 1 if any(reason is None for reason in trouble) else 0
        failed = next((reason for reason in trouble if reason), "")
        if failed or unreadable > FORGIVEN:
            return failed or "its health could not be read"
        remaining = until - clock.boot()
        if (remaining <= 0 and not unreadable) or interrupt.reason:
            return ""
        await clock.sleep(min(LONGEST_LOOK, max(remaining, 0.05)))


def _trouble(world: Observed, host: str, model_name: str, identity: UnitIdentity) -> str | None:
    """Return why a unit is not what it was, empty when it is, None when that cannot be seen."""
    unit_key, health_key = FactKey("unit", host, model_name), FactKey("health", host, model_name)
    if world.unknown(unit_key) or world.unknown(health_key):
        return None
    unit = world.value(unit_key, Unit)
    if unit is None or unit.identity != identity or not unit.leader:
        return f"{model_name} died in its trial"
    health = world.value(health_key, Health)
    if health is None or health.phase not in HEALTHY:
        return f"{model_name} became {health.phase if health else 'unhealthy'} in its trial: {health.message if health else ''}"
    return ""
