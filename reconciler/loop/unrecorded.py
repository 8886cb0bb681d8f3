"""Unrecorded: what is done for requests while nothing can be recorded, and so nothing done."""

from __future__ import annotations

from contextlib import suppress

from reconciler.core.admission import admissions
from reconciler.core.recipes.gate import admit_step
from reconciler.effects import admit
from reconciler.effects.effect import EffectContext
from reconciler.errors import DriverError
from reconciler.loop.context import HostContext
from reconciler.model.observed import CLAIM, UNIT, Observed
from reconciler.model.spec import ModelSpec, Slice


async def admitted(slice_: Slice, context: HostContext) -> None:
    """Let requests reach what serves on a host of ours; raise DurabilityError.

    No row has to say so: it changes nothing but this process, and ends with it.
    """
    host = slice_.host.name
    observed = await context.look(slice_, await context.hints(host))
    claim, ours = CLAIM(host), await context.claim.ours(host)
    if observed.unknown(claim) or ours.objection(host, observed.value(claim)):
        return
    # Whatever the files want: what serves cannot be stopped now either.
    names = tuple(model.name for model in slice_.models if _runs(host, model, observed))
    every = slice_.model_copy(update={"active": names})
    given = EffectContext(context.ports(slice_), slice_, context.controller.id, observed)
    for change in admissions(every, observed, ()):
        with suppress(DriverError):
            await admit.perform(admit_step(change, observed), given)


def _runs(host: str, model: ModelSpec, observed: Observed) -> bool:
    # Only what runs as the files define it is known to be at the port that they name.
    unit = observed.value(UNIT(host, model.name))
    return unit is not None and unit.runs(model)
