"""Resting: a host of which nobody has wanted anything for long begins to rest, as rows say."""

from __future__ import annotations

from reconciler.core import lending, policy
from reconciler.core.canonical import digest
from reconciler.core.policy import Aim
from reconciler.loop.context import HostContext
from reconciler.loop.pass_request import PassRequest
from reconciler.model.leasing import Idled, Released
from reconciler.model.observed import CONTACT, Observed
from reconciler.model.records import Hold


async def begun(request: PassRequest, context: HostContext, aim: Aim, observed: Observed) -> bool:
    """Record that a host begins to rest, where nothing keeps it; whether it does."""
    host, idle = request.slice.host.name, request.rules.idle
    contact = observed.value(CONTACT(host))
    is_kept = isinstance(aim.cause, Hold) or policy.is_of_power(aim.cause)
    if idle is None or contact is None or is_kept or lending.taken(aim.lent):
        return False
    why = f"no request asked for a model of {host} for {idle.after:g} s"
    # What requests brought in is over with that: its lease would rouse the host at once.
    for name in (await context.hints(host)).leases:
        await context.journal.append(Released(host=host, model=name, because=why))
    wanted = digest(request.slice)
    idled = Idled(host=host, then=idle.then, wanted=wanted, boot_id=contact.boot_id)
    await context.journal.append(idled)
    context.say(f"{host}: {why}; it comes to rest ({idle.then})")
    return True
