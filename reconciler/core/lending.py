"""Lending: which models requests have brought in, and what each of them displaces."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints
from reconciler.model.lending import Rules
from reconciler.model.records import Lease
from reconciler.model.spec import ModelSpec, Slice

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
    if one.port == other.port:
        return True
    if BESIDE_OTHERS & {one.task, other.task}:
        return False
    # A model that names no card may use all of them.
    return not one.gpus or not other.gpus or bool({*one.gpus} & {*other.gpus})


def standing(wanted: Slice, rules: Rules, hints: Hints) -> tuple[str, ...]:
    """The models that are lent to requests now; of two rivals the one that came last."""
    against, found = rivals(wanted), list[str]()
    # Newest first: a death between two rows of one turn leaves what the turn was for.
    for name in reversed([*hints.leases]):
        lease = hints.leases[name]
        if not _lapse(name, lease, wanted, rules) and not against[name].intersection(found):
            found.append(name)
    return tuple(sorted(found))


def lapsed(wanted: Slice, rules: Rules, hints: Hints) -> dict[str, str]:
    """The leases that hold no longer, each with the reason."""
    why = {name: _lapse(name, lease, wanted, rules) for name, lease in hints.leases.items()}
    return {name: reason for name, reason in why.items() if reason}


def _lapse(name: str, lease: Lease, wanted: Slice, rules: Rules) -> str:
    if lease.wanted != digest(wanted):
        return "the files ask for something else now"
    if name not in rules.allow:
        return "`allow` of desired.yaml does not name it, or no gateway is there to end it"
    return ""


def lend(slice_: Slice, names: Iterable[str]) -> Slice:
    """A host with these models running in place of those that cannot run beside them."""
    lent, against = frozenset(names), rivals(slice_)
    if not lent:
        return slice_
    displaced = frozenset[str]().union(*(against.get(name, ()) for name in lent))
    stays = frozenset(slice_.active or ()) - displaced
    return slice_.model_copy(update={"active": tuple(sorted(stays | lent))})
