"""Adoption: what is found as it should be counts as good without a run."""

from __future__ import annotations

from reconciler.core import planner, policy
from reconciler.core.policy import Aim
from reconciler.core.recovery import Hints
from reconciler.loop.context import HostContext
from reconciler.loop.pass_request import PassRequest
from reconciler.model.observed import Observed
from reconciler.model.records import Adopted
from reconciler.model.target import Target


async def adopt(request: PassRequest, context: HostContext, aim: Aim, hints: Hints) -> None:
    """Record that a host is as wanted without a run, when the journal does not know that yet."""
    is_good = hints.last_good_digest == hints.wanted_digest == aim.target.digest
    # A failure after which it still serves, as that of a restart, is over too.
    if aim.mode == "forward" and not (is_good and hints.quarantine is None):
        await _record(request, context, aim.target, generation(hints, aim))


async def adopt_found(
    request: PassRequest, context: HostContext, observed: Observed, hints: Hints
) -> Hints:
    """Record what serves before the first run of a host, which goes back to it where it fails.

    The hints are returned as they are after that.
    """
    found = policy.found_serving(request.slice, hints, observed)
    if found is None:
        return hints
    world = await context.look(found.slice, hints)
    kept = planner.plan(found, world, hints)
    if kept.steps or kept.unmet or kept.unseen or kept.refusals:
        return hints
    await _record(request, context, found, hints.generation)
    return await context.hints(found.slice.host.name)


def generation(hints: Hints, aim: Aim) -> int:
    """The generation of a host once it goes where it aims."""
    moved = aim.mode == "forward" and hints.wanted_digest != aim.target.digest
    return hints.generation + 1 if moved else hints.generation


async def _record(
    request: PassRequest, context: HostContext, target: Target, generation: int
) -> None:
    adopted = Adopted(
        host=target.slice.host.name,
        slice=target.slice,
        digest=target.digest,
        generation=generation,
        provenance=request.provenance,
    )
    await context.journal.append(adopted)
