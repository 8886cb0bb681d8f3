"""Card memory: how much of each accelerator is held around a step, for the record of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.observed import GPU, Observed

if TYPE_CHECKING:
    from pydantic import JsonValue

    from reconciler.loop.observer import Observer
    from reconciler.ports import Evidence
    from reconciler.steps.step import Step

MEMORY = "card_memory"


async def weighed(step: Step, observer: Observer, before: Observed, after: Observed) -> Evidence:
    """The bytes that are held on each card, by the moments that the step names.

    One look when it has ended, and none at other steps: a card that sleeps then is let sleep. What
    was before is known from when it was planned.
    """
    if not step.weighed_after:
        return {}
    key = GPU(step.host)
    if key not in step.looks(after):
        after = await observer.look([key], after)
    moments = {step.weighed_before: before, step.weighed_after: after}
    held: dict[str, JsonValue] = {
        moment: _held(step, world) for moment, world in moments.items() if moment
    }
    return {MEMORY: held} if any(held.values()) else {}


def _held(step: Step, world: Observed) -> dict[str, JsonValue]:
    return {str(card.index): card.total - card.free for card in step.cards(world).cards}
