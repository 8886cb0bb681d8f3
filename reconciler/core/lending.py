"""Lending: which models are lent, to requests or a person, and what each of them displaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.core import phrases
from reconciler.core.canonical import digest
from reconciler.core.expiry import seconds_until
from reconciler.core.recovery import Hints
from reconciler.model.leasing import Term
from reconciler.model.lending import Rules
from reconciler.model.names import Digest
from reconciler.model.observed import UNIT, Observed
from reconciler.model.records import Instant, Lease
from reconciler.model.spec import ModelSpec, Slice
from reconciler.steps.plan import HostPlan

BESIDE_OTHERS = {"embedding", "rerank"}
"""Tasks of models that are small, and so run beside others on the same cards."""


def rivals(slice_: Slice) -> dict[str, frozenset[str]]:
    """For each model of a host, the models that cannot run beside it."""
    return {
        one.name: frozenset(
            other.name for other in slice_.models if other is not one and _are_rivals(one, other)
        )
        for one in slice_.models
    }


def _are_rivals(one: ModelSpec, other: ModelSpec) -> bool:
    if one.door == other.door:
        return True
    if BESIDE_OTHERS & {one.task, other.task}:
        return False
    # A model that names no card may use all of them.
    return not one.gpus or not other.gpus or bool({*one.gpus} & {*other.gpus})


def standing(wanted: Slice, rules: Rules, hints: Hints, now: Instant) -> dict[str, Lease]:
    """The models that are lent now, by name.

    Of two rivals that is the one that a person took, and else the one that came last.
    """
    against, found = rivals(wanted), dict[str, Lease]()
    over = _over(wanted, rules, hints, now)
    # Newest first: a death between two rows of one turn leaves what the turn was for.
    newest_first = reversed([*hints.leases.items()])
    for name, lease in sorted(newest_first, key=lambda one: one[1].term is None):
        if name not in over and against[name].isdisjoint(found):
            found[name] = lease
    return dict(sorted(found.items()))


def lapsed(wanted: Slice, rules: Rules, hints: Hints, now: Instant) -> dict[str, str]:
    """The leases that hold no longer, each with the reason."""
    stand, over = standing(wanted, rules, hints, now), _over(wanted, rules, hints, now)
    return {
        name: over.get(name, "another model was lent its place")
        for name in hints.leases
        if name not in stand
    }


def as_recorded(wanted: Slice, rules: Rules, hints: Hints, now: Instant) -> Hints:
    """What is known of a host once the end of what is lent no longer is recorded."""
    ended = lapsed(wanted, rules, hints, now)
    left = {name: lease for name, lease in hints.leases.items() if name not in ended}
    return replace(hints, leases=left, let_go={**hints.let_go, **ended})


def _over(wanted: Slice, rules: Rules, hints: Hints, now: Instant) -> dict[str, str]:
    """The leases that are over by themselves, each with the reason."""

    def why(name: str, lease: Lease) -> str:
        if lease.wanted != digest(wanted):
            return "the files ask for something else now"
        if lease.term is not None:
            left = seconds_until(lease.term.until, lease.since, hints, now)
            return "" if left > 0 else "its time is over"
        # Where a host comes to rest, requests also bring back what the file wants.
        may_be_asked = name in rules.allow or (rules.idle and name in (wanted.active or ()))
        if not may_be_asked:
            return "`allow` of desired.yaml does not name it, or no gateway is there to end it"
        return ""

    reasons = {name: why(name, lease) for name, lease in hints.leases.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def newcomers(brought: Iterable[str], observed: Observed, hints: Hints, host: str) -> list[str]:
    """The models among those lent that a run brings in.

    What serves already is not to blame for a failure, and goes on.
    """
    units = {name: observed.value(UNIT(host, name)) for name in sorted(brought)}
    return [name for name in units if units[name] is None or name in hints.unproven]


def lent_alone(wanted: Slice, model_name: str) -> Digest:
    """By what it is known that a model could not be lent beside what the files ask for."""
    return digest(lend(wanted, [model_name]))


def taken(lent: Mapping[str, Lease]) -> dict[str, Term]:
    """The models among those lent that a person took, each with what was said of it."""
    return {name: lease.term for name, lease in lent.items() if lease.term is not None}


def kept_out(slice_: Slice, lent: Mapping[str, Lease]) -> dict[str, str]:
    """The models that nothing brings in while a person has their place, each with the reason."""
    against = rivals(slice_)
    return {
        rival: phrases.taken(name, term)
        for name, term in taken(lent).items()
        for rival in against[name]
    }


def in_effect(slice_: Slice, plan: HostPlan) -> Slice:
    """What counts on a host for now, by a plan for it: with what is lent, or at rest."""
    if plan.mode == "idle":
        return slice_.model_copy(update={"active": ()})
    return lend(slice_, plan.lent)


def displaced(slice_: Slice, names: Iterable[str]) -> frozenset[str]:
    """What the files want, and does not run while these models are lent."""
    return frozenset(slice_.active or ()).difference(lend(slice_, names).active or ())


def lend(slice_: Slice, names: Iterable[str]) -> Slice:
    """A host with these models running in place of those that cannot run beside them."""
    lent, against = frozenset(names), rivals(slice_)
    if not lent:
        return slice_
    stays = frozenset(slice_.active or ()).difference(*(against.get(name, ()) for name in lent))
    return slice_.model_copy(update={"active": tuple(sorted(stays | lent))})
