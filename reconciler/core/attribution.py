"""Attribution: by which definitions the units of a host may run, whose each is, and which of them owns a port.

Called by loop/observer, which asks the launchers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.core.recovery import Hints
from reconciler.model.facts import Fact, Known, Unit, Unknown
from reconciler.model.observed import AnyFactKey, FactValue, Observed
from reconciler.model.port import PortOwner, PortState
from reconciler.model.spec import ModelSpec, Slice


def former(slice_: Slice, hints: Hints) -> tuple[ModelSpec, ...]:
    """Return definitions that name another launcher than a slice does for their model, or a model that it has not.

    What the last run aimed at and what was last good may still run by them, and nothing else tells
    of a unit without a mark.
    """
    found: list[ModelSpec] = []
    for before in (hints.wanted, hints.last_good):
        for model in before.models if before else ():
            known = ((one.name, one.launcher) for one in (*slice_.models, *found))
            if (model.name, model.launcher) not in known:
                found.append(model)
    return tuple(found)


@dataclass(frozen=True)
class LauncherAnswers:
    """What the launchers of a host answered.

    `needing` are the kinds that see nothing which no definition names.

    A launcher that did not answer hides the models that it holds now, or may still hold, and what
    may be nobody's there.
    """

    slice: Slice
    former: tuple[ModelSpec, ...]
    answers: Mapping[str, Fact[tuple[Unit, ...]]]
    needing: Collection[str]

    def fact(self, key: AnyFactKey) -> Fact[FactValue]:
        """Return the unit of a model, or with the key of the orphans all that is no model's unit."""
        model = self.slice.model(key.subject)
        if key.kind == "orphans":
            return self._silence(self._of_orphans) or Known(self._orphans)
        if model is None:
            found = next((unit for unit in self._orphans if unit.mark.model == key.subject), None)
            return Known(found) if found else self._silence(self._of_orphans) or Known(None)
        mine = self._chosen(model)
        others = [one.launcher.kind for one in self.former if one.name == model.name]
        return self._silence(
            [model.launcher.kind] if mine else [model.launcher.kind, *others]
        ) or Known(mine)

    @property
    def _found(self) -> tuple[Unit, ...]:
        return tuple(
            unit
            for fact in self.answers.values()
            if not isinstance(fact, Unknown)
            for unit in fact.value
        )

    @property
    def _orphans(self) -> tuple[Unit, ...]:
        chosen = [self._chosen(model) for model in self.slice.models]
        return tuple(unit for unit in self._found if not any(unit is one for one in chosen))

    @property
    def _of_orphans(self) -> Sequence[str]:
        """The kinds that may hold what is no model's unit."""
        named = {model.launcher.kind for model in self.former}
        return [kind for kind in self.answers if kind in named or kind not in self.needing]

    def _chosen(self, model: ModelSpec) -> Unit | None:
        """Return the unit of a model: one that runs as it is defined, then the oldest, whatever the order they were seen in."""
        mine = (unit for unit in self._found if unit.mark.model == model.name)
        return min(
            mine,
            key=lambda unit: (not unit.runs(model), unit.identity.start, unit.identity.pid),
            default=None,
        )

    def _silence(self, kinds: Iterable[str]) -> Unknown | None:
        """Return why the first of these kinds that did not answer did not."""
        facts = (self.answers.get(kind, Unknown(f"there is no launcher {kind}")) for kind in kinds)
        return next((fact for fact in facts if isinstance(fact, Unknown)), None)


def owners_named(observed: Observed, keys: Iterable[AnyFactKey]) -> Observed:
    """Return a world in which each port among `keys` is owned by the model of the unit that its process belongs to."""
    names = {
        pid: unit.mark.model
        for unit in _units(observed)
        for pid in (unit.identity.pid, *unit.members)
    }
    named: dict[AnyFactKey, Fact[FactValue]] = {}
    for key in keys:
        match observed.fact(key):
            case Known(value=PortState(owner=PortOwner(pid=int(pid)) as owner), at=at) if (
                pid in names
            ):
                named[key] = Known(
                    PortState(owner=owner.model_copy(update={"model": names[pid]})), at
                )
    return observed.seeing(named)


def _units(observed: Observed) -> Iterator[Unit]:
    for key in observed:
        match observed.fact(key):
            case Known(value=Unit() as unit):
                yield unit
            case Known(value=tuple() as orphans):
                yield from orphans
