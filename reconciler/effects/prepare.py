"""Prepare a host through its access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import DriverError
from reconciler.model.onhost.host import PrepareHost

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.prepare import Prepare


async def perform(step: Prepare, context: EffectContext) -> Evidence:
    """Run what the host is prepared with, and its check where nothing runs that it could hurt.

    Repeatable.
    """
    preparation = context.slice.host.prepare
    if preparation is None:
        raise DriverError(f"{step.host} has no `prepare` any more")
    carried_out = preparation if step.checks else preparation.unchecked
    return await context.ports.access.act(PrepareHost(preparation=carried_out, digest=step.digest))
