"""Wait for a host that goes down, and where it hangs and that is allowed, cut its power."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.effects.shutdown import cut
from reconciler.errors import Declined
from reconciler.model.observed import CONTACT

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.await_down import AwaitDown


async def perform(step: AwaitDown, context: EffectContext) -> Evidence:
    """Do nothing at first; when it is tried again, cut the power of a host that hangs.

    Raise DriverError.
    """
    if not context.attempt:
        return {}
    if _stays_up(step, context):
        raise Declined(
            "it answers and is not going down any more, so its power is not cut; the next run asks"
            " it again"
        )
    return await cut(step, context)


def _stays_up(step: AwaitDown, context: EffectContext) -> bool:
    answers = context.world.value(CONTACT(step.host)) is not None
    return answers and context.world.power(step.host) == "on"
