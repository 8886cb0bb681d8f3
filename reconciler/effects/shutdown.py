"""Power a host off through its power drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.effects.effect import ACCEPTED
from reconciler.errors import Declined
from reconciler.model.observed import CONTACT, TESTIMONY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.shutdown import Descent, DownWait, Shutdown


async def perform(step: Shutdown, context: EffectContext) -> Evidence:
    """Ask the host, and where it hangs and that is allowed, cut its power. Irreversible."""
    return await descend(step, context, context.ports.power.shut_down)


async def descend(
    step: Descent, context: EffectContext, ask: Callable[[], Awaitable[Evidence]]
) -> Evidence:
    """Ask a host to go down; when it is tried again, cut the power of one that is seen to be up.

    Raise DriverError.
    """
    if context.attempt:
        return await cut(step, context)
    contact = context.world.value(CONTACT(step.host))
    # By the boot that accepted, later runs tell whether it is that one that goes down (ADR 0009).
    boot = contact.boot_id if contact is not None else "unknown"
    return {**await ask(), ACCEPTED: boot}


async def cut(step: DownWait, context: EffectContext) -> Evidence:
    """Cut the power of a host that hangs on its way down.

    Raise Declined where nothing proves that it is on, or DriverError.
    """
    if not _is_proven_on(step, context):
        raise Declined("it hangs, and its power is not cut because nothing proves that it is on")
    return {"cut": True, **await context.ports.power.cut()}


def _is_proven_on(step: DownWait, context: EffectContext) -> bool:
    contact = context.world.value(CONTACT(step.host))
    witness = context.world.value(TESTIMONY(step.host))
    return contact is not None or (witness is not None and witness.state == "on")
