"""Prefetch weights into the page cache of their host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.onhost.files import PrefetchFile

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.prefetch import Prefetch


async def perform(step: Prefetch, context: EffectContext) -> Evidence:
    """Ask the kernel to read the weights. Repeatable."""
    weights = step.seen(context.world).weights
    if weights is None or not weights.exists:
        return {}
    return await context.ports.access.act(PrefetchFile(path=weights.path))
