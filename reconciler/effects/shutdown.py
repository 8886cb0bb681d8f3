"""Power a host off through its power driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.effects.effect import Acting
    from reconciler.ports import Evidence
    from reconciler.steps.shutdown import Shutdown


async def perform(step: Shutdown, acting: Acting) -> Evidence:
    """Ask the host to go down. Irreversible."""
    _ = step
    return await acting.ports.power.shut_down()
