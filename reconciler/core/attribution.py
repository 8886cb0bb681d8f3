"""Attribution: by which definitions the units of a host may run, and which of them owns a port.

Called by loop/observer, which asks the launchers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.core.recovery import Hints
from reconciler.model.facts import Fact, Known, Unit
from reconciler.model.observed import AnyFactKey, FactValue, Observed
from reconciler.model.port import PortOwner, PortState
from reconciler.model.spec import ModelSpec, Slice


def former(slice_: Slice, hints: Hints) -> tuple[ModelSpec, ...]:
    """Return definitions that name another launcher than a slice does for their model, or a model that it has not.

    What the last run aimed at and what was last good may still run by them, and nothing else tells of a unit without a mark.
    """
    found: list[ModelSpec] = []
    for before in (hints.wanted, hints.last_good):
        for model in before.models if before else ():
            known = ((one.name, one.launcher) for one in (*slice_.models, *found))
            if (model.name, model.launcher) not in known:
                found.append(model)
    return tuple(found)


def owners_named(observed: Observed, keys: Iterable[AnyFactKey]) -> Observed:
    """Return a world in which each port among `keys` is owned by the model of the unit that its process belongs to."""
    names = {pid: unit.mark.model for unit in _units(observed) for pid in (unit.identity.pid, *unit.members)}
    named: dict[AnyFactKey, Fact[FactValue]] = {}
    for key in keys:
        match observed.fact(key):
            case Known(value=PortState(owner=PortOwner(pid=int(pid)) as owner), at=at) if pid in names:
                named[key] = Known(PortState(owner=owner.model_copy(update={"model": names[pid]})), at)
    return observed.seeing(named)


def _units(observed: Observed) -> Iterator[Unit]:
    for key in observed:
        match observed.fact(key):
            case Known(value=Unit() as unit):
                yield unit
            case Known(value=tuple() as orphans):
                yield from orphans
