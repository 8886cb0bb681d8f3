"""Attribution: which definitions a host's units may run by, whose each is, and who owns a port.

Called by loop/observer, which asks the launchers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.core.recovery import Hints
from reconciler.model.facts import Fact, Known, Unit, Unknown
from reconciler.model.held_unit import HeldUnit, UnseenUnit
from reconciler.model.observed import AnyFactKey, FactValue, Observed
from reconciler.model.port import PortOwner, PortState
from reconciler.model.spec import ModelSpec, Slice

_ADVICE = "are one and the same on this host; give each its own unit in inventory.yaml"


def former(slice_: Slice, hints: Hints) -> tuple[ModelSpec, ...]:
    """The definitions that name a model which a slice lacks, or another launcher than it does."""
    found: list[ModelSpec] = []
    for model in _remembered(hints):
        if not any(_is_held_alike(model, one) for one in (*slice_.models, *found)):
            found.append(model)
    return tuple(found)


def _remembered(hints: Hints) -> Iterator[ModelSpec]:
    # What the last run aimed at and what was last good may still run, and of a unit without a mark
    # nothing else tells.
    for before in (hints.wanted, hints.last_good):
        if before is not None:
            yield from before.models


def _are_one(one: Unit, other: Unit) -> bool:
    """Whether two units are the same, or one runs in the other, so that both end together."""
    return (
        one.identity == other.identity
        or one.identity.pid in other.members
        or other.identity.pid in one.members
    )


def _told(model_name: str, unit: Unit) -> str:
    return f"{model_name} ({unit.launcher.kind})"


def _is_held_alike(one: ModelSpec, other: ModelSpec) -> bool:
    return (one.name, one.launcher) == (other.name, other.launcher)


@dataclass(frozen=True)
class LauncherAnswers:
    """What the launchers of a host answered.

    `needing` are the kinds that see nothing which no definition names. A launcher that did not
    answer hides the models that it holds now, or may still hold, and what no definition names. A
    unit that it could not see hides its own model, as that is defined or was.
    """

    slice: Slice
    former: tuple[ModelSpec, ...]
    answers: Mapping[str, Fact[tuple[HeldUnit, ...]]]
    needing: Collection[str]

    def fact(self, key: AnyFactKey) -> Fact[FactValue]:
        """The unit of a model, or with the key of the orphans all that is no model's unit."""
        if key.kind == "orphans":
            return self._hidden_orphans or Known(self._orphans)
        model = self.slice.model(key.subject)
        return self._stray(key.subject) if model is None else self._unit(model)

    def _unit(self, model: ModelSpec) -> Fact[FactValue]:
        mine = self._chosen(model)
        silent = self._silence(model)
        if mine is None:
            silent = silent or self._former_silence(model)
        return silent or self._shared(model, mine) or Known(mine)

    def _former_silence(self, model: ModelSpec) -> Unknown | None:
        """Why it is not known whether a model still runs by an earlier definition."""
        # Whoever reads only the inventory would not know why another launcher is asked.
        for one in (one for one in self.former if one.name == model.name):
            if silent := self._silence(one):
                kind = one.launcher.kind
                why = f"it was run by {kind} before, and may be still: {silent.reason}"
                return replace(silent, reason=why)
        return None

    def _shared(self, model: ModelSpec, mine: Unit | None) -> Unknown | None:
        """Why it cannot be told which of two models a unit is."""
        # Launchers of two kinds may know the same container, and one kind by two names.
        if mine is None:
            return None
        for other in self._found:
            name = other.mark.model
            if name != model.name and self.slice.model(name) and _are_one(mine, other):
                both = sorted([_told(model.name, mine), _told(name, other)])
                return Unknown(f"{' and '.join(both)} {_ADVICE}")
        return None

    def _stray(self, model_name: str) -> Fact[FactValue]:
        found = next((unit for unit in self._orphans if unit.mark.model == model_name), None)
        if found is not None:
            return Known(found)
        return self._hidden_orphans or Known(None)

    @property
    def _held(self) -> Iterator[HeldUnit]:
        for fact in self.answers.values():
            if not isinstance(fact, Unknown):
                yield from fact.value

    @property
    def _found(self) -> tuple[Unit, ...]:
        return tuple(unit for unit in self._held if isinstance(unit, Unit))

    @property
    def _orphans(self) -> tuple[Unit, ...]:
        chosen = [self._chosen(model) for model in self.slice.models]
        # What a former definition called by another name or kind is no orphan.
        return tuple(
            unit for unit in self._found if not any(one and _are_one(unit, one) for one in chosen)
        )

    @property
    def _hidden_orphans(self) -> Unknown | None:
        """Why it is not known what is no model's unit: marked, or of a former definition."""
        silences = (
            *(self._unanswered(kind) for kind in self.answers if kind not in self.needing),
            *map(self._silence, self.former),
        )
        return next(filter(None, silences), None)

    def _chosen(self, model: ModelSpec) -> Unit | None:
        """The unit of a model that runs as it is defined, else the oldest."""

        # The order in which units are seen means nothing.
        def rank(unit: Unit) -> tuple[bool, int, int]:
            return (not unit.runs(model), unit.identity.start, unit.identity.pid)

        mine = (unit for unit in self._found if unit.mark.model == model.name)
        return min(mine, key=rank, default=None)

    def _silence(self, model: ModelSpec) -> Unknown | None:
        """Why it is not known what runs by a definition."""
        return self._unanswered(model.launcher.kind) or self._unseen(model)

    def _unanswered(self, kind: str) -> Unknown | None:
        fact = self.answers.get(kind, Unknown(f"there is no launcher {kind}"))
        return fact if isinstance(fact, Unknown) else None

    def _unseen(self, model: ModelSpec) -> Unknown | None:
        unseen = (unit for unit in self._held if isinstance(unit, UnseenUnit))
        mine = (model.name, model.launcher)
        reasons = (one.reason for one in unseen if (one.model, one.launcher) == mine)
        return next(map(Unknown, reasons), None)


def owners_named(observed: Observed, keys: Iterable[AnyFactKey]) -> Observed:
    """A world in which each port among `keys` is owned by the model whose process listens there."""
    # Most looks, in a wait many a second, ask for no port.
    ports = [key for key in keys if key.kind == "port"]
    if not ports:
        return observed
    names = _names_by_pid(observed)
    named: dict[AnyFactKey, Fact[FactValue]] = {}
    for key in ports:
        match observed.fact(key):
            case Known(value=PortState(owner=PortOwner(pid=int(pid)) as owner), at=at) if (
                pid in names
            ):
                known = owner.model_copy(update={"model": names[pid]})
                named[key] = Known(PortState(owner=known), at)
    return observed.seeing(named)


def _names_by_pid(observed: Observed) -> dict[int, str]:
    return {
        pid: unit.mark.model
        for unit in _units(observed)
        for pid in (unit.identity.pid, *unit.members)
    }


def _units(observed: Observed) -> Iterator[Unit]:
    for key in observed:
        match observed.fact(key):
            case Known(value=Unit() as unit):
                yield unit
            case Known(value=tuple() as orphans):
                yield from orphans
