"""Unseen: of which models it is not known whether they run, and what may go on beside them.

Called by core/diff, over all that is to change on the host.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from reconciler.core.recovery import Hints
from reconciler.model.observed import GPU, AnyFactKey, Observed
from reconciler.model.spec import ModelSpec, Slice


class Unseen(NamedTuple):
    """Why something is not known: all of it in the reason where that stands for itself."""

    reason: str
    key: AnyFactKey | None = None


def told(unseen: Iterable[Unseen]) -> tuple[str, ...]:
    """Say what is not known, once for all that has the same reason."""
    keys: dict[str, list[str]] = {}
    for one in unseen:
        keys.setdefault(one.reason, []).extend([str(one.key)] if one.key else [])
    return tuple(": ".join(filter(None, (", ".join(of), why))) for why, of in keys.items())


class Switch(NamedTuple):
    """What stops and what starts on a host, of all that is wanted there or was."""

    wanted: Slice
    hints: Hints
    stops: Collection[str]
    starts: Collection[str]

    def goes_on_beside(self, one: Unseen, observed: Observed) -> bool:
        """Whether nothing of it can collide with a model that may run, unseen."""
        model = self._model(one.key)
        if model is None or self.wanted.power in {"off", "suspend"} or self._needs_door_of(model):
            return False
        if model.name in (self.wanted.active or ()):
            # What ends may have to make way for it alone.
            return not self._ended or bool(self._begun)
        # What it holds on the cards shows there; without any, nothing does.
        gpu = observed.value(GPU(self.wanted.host.name))
        return not self._begun or (gpu is not None and bool(gpu.cards))

    def _model(self, key: AnyFactKey | None) -> ModelSpec | None:
        return self.wanted.model(key.subject) if key and key.kind == "unit" else None

    def _needs_door_of(self, model: ModelSpec) -> bool:
        """Whether something starts where a model may listen, by its definition or a former one."""
        slices = (self.wanted, self.hints.wanted, self.hints.last_good)
        its = {one.door for each in slices if each and (one := each.model(model.name))}
        return any(one.door in its for one in self.wanted.models if one.name in self.starts)

    @property
    def _ended(self) -> set[str]:
        return set(self.stops) - set(self.starts)

    @property
    def _begun(self) -> set[str]:
        return set(self.starts) - set(self.stops)
