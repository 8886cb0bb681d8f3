"""Await VRAM: nothing is done here, watching the memory is the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.effects.effect import EffectContext
    from reconciler.ports import Evidence
    from reconciler.steps.await_vram import AwaitVram


async def perform(step: AwaitVram, acting: EffectContext) -> Evidence:
    """Do nothing: freed memory comes back by itself. Observable."""
    _ = step, acting
    return {}
