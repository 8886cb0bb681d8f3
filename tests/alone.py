"""The app of a machine on which only one process serves, whatever other tests run beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.app import App
from reconciler.model.facts import Known
from reconciler.model.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model.facts import Fact
    from reconciler.model.onhost import Question
    from reconciler.model.spec import Slice
    from reconciler.ports import AccessReader, HostReaders, Json


@dataclass(frozen=True)
class Alone(App):
    """The app of a machine on which only one process serves, with no models but that one's."""

    pid: int
    models: Path

    def readers(self, slice_: Slice) -> HostReaders:
        readers = super().readers(slice_)
        return replace(readers, access=AloneThere(readers.access, self.pid, self.models))


@dataclass(frozen=True)
class AloneThere:
    """Leave every other server out of what a machine answers."""

    access: AccessReader
    pid: int
    models: Path

    def __getattr__(self, name: str) -> Any:
        return getattr(self.access, name)

    async def ask(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        return tuple(self._alone(fact) for fact in await self.access.ask(questions))

    def _alone(self, fact: Fact[Json]) -> Fact[Json]:
        if not isinstance(fact, Known) or "servers" not in fact.value:
            return fact
        found = Machine.model_validate(fact.value)
        mine = tuple(one for one in found.servers if one.pid == self.pid)
        weights = tuple(one for one in found.weights if Path(one.path).is_relative_to(self.models))
        return Known(
            found.model_copy(update={"servers": mine, "weights": weights}).model_dump(mode="json")
        )
