"""Suspend a host through its power driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.effects.effect import Acting
    from reconciler.ports import Evidence
    from reconciler.steps.suspend import Suspend


async def perform(step: Suspend, acting: Acting) -> Evidence:
    """Ask the host to suspend. Irreversible."""
    _ = step
    return await acting.ports.power.suspend()
