"""Idleness: when a host at rest is roused, and what it is while it rests."""

from __future__ import annotations

from collections.abc import Collection

from reconciler.core.canonical import digest
from reconciler.core.expiry import seconds_until
from reconciler.core.recovery import Hints
from reconciler.core.retries import retry_at
from reconciler.model.lending import Rest, Rules
from reconciler.model.observed import CONTACT, Observed
from reconciler.model.records import Instant
from reconciler.model.spec import Slice


def roused(
    wanted: Slice, rules: Rules, hints: Hints, observed: Observed, lent: Collection[str]
) -> str:
    """Why a host rests no longer; empty while it does, and where it does not rest."""
    idled, contact = hints.idled, observed.value(CONTACT(wanted.host.name))
    if idled is None:
        return ""
    if idled.wanted != digest(wanted):
        return "the files ask for something else now"
    if rules.idle is None or rules.idle.then != idled.then:
        return "desired.yaml does not let it rest like that, or no gateway is there to rouse it"
    if lent:
        return f"{', '.join(sorted(lent))} is asked for"
    if contact is not None and contact.boot_id != idled.boot_id:
        return "it was started by other means"
    return ""


def at_rest(wanted: Slice, then: Rest) -> Slice:
    """A host that rests: nothing runs there, and it may sleep."""
    power = wanted.power if then == "unload" else then
    return wanted.model_copy(update={"active": (), "power": power})


def as_it_may_sleep(wanted: Slice, rules: Rules) -> Slice:
    """A host as it is judged where it may sleep at any time, and has to be able to."""
    if not rules.sleeps or rules.idle is None:
        return wanted
    return wanted.model_copy(update={"power": rules.idle.then})


def may_rest(wanted: Slice, hints: Hints, now: Instant) -> bool:
    """Whether a host may be let rest now; one that could not be is tried ever more rarely."""
    failure = hints.restless
    if hints.idled is not None:
        return False
    if failure is None or failure.key != digest(wanted):
        return True
    return seconds_until(retry_at(failure), failure.since, hints, now) <= 0
