"""Services that are made for models: systemd keeps what we start, also after we are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from reconciler.drivers.launchers.shared.given import AGAIN_SECONDS, KILL_SECONDS, another
from reconciler.drivers.launchers.shared.owned import OwnedUnits
from reconciler.model.facts import Binary, Fact, Mark, Unit, Unknown
from reconciler.model.names import Value
from reconciler.model.onhost.answers import understood
from reconciler.model.onhost.services import (
    AskOwnedServices,
    AskServiceName,
    SpawnService,
    StopService,
)
from reconciler.model.origin import Service
from reconciler.model.spec import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.model.spec import ModelSpec
    from reconciler.ports import Access, Evidence

_Scope = Literal["system", "user"]


class _Kept(Value):
    """A unit, and whose systemd keeps it."""

    scope: _Scope
    unit: Unit


_KEPT = TypeAdapter(tuple[_Kept, ...])


class OwnedServices(OwnedUnits):
    """The launcher of services that are made for models on the host behind `access`.

    `models` are those whose launcher is systemd; `launcher` gives the options of one that makes
    services for the system, or a user.
    """

    def __init__(
        self, access: Access, models: Sequence[ModelSpec], launcher: Callable[[_Scope], Kind]
    ) -> None:
        """Use a host."""
        super().__init__(access)
        self._wanted = {model.name: model.launcher for model in models}
        self._launcher = launcher

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[Unit, ...]]:  # noqa: ARG002
        """Every service on the host that carries a mark. Source: /proc/PID/environ."""
        (fact,) = await self._access.ask([AskOwnedServices()])
        return understood(
            fact,
            lambda said: tuple(map(self._unit, _KEPT.validate_python(said["units"]))),
            "the list of the host's own services",
        )

    def _unit(self, kept: _Kept) -> Unit:
        unit = kept.unit.model_copy(update={"launcher": self._launcher(kept.scope)})
        if self._wanted.get(unit.mark.model, unit.launcher) == unit.launcher:
            return unit
        # The same command, but not where it is wanted.
        mark = unit.mark.model_copy(update={"digest": another(unit.mark.digest)})
        return unit.model_copy(update={"mark": mark})

    async def binary(self, model: ModelSpec) -> Fact[Binary]:
        """The program that would be started, or what keeps systemd from having the service."""
        seen = await super().binary(model)
        if isinstance(seen, Unknown) or seen.value.problem:
            return seen
        named = AskServiceName(**_service(model.name, model.launcher), model=model.name)
        (fact,) = await self._access.ask([named])
        return understood(
            fact,
            lambda said: Binary.model_validate({**seen.value.model_dump(), **said}),
            f"what systemd knows of the name {named.name}",
        )

    async def start(self, model: ModelSpec, mark: Mark) -> Evidence:
        """Make the service, with its mark.

        Raise DriverError, or Declined without its secrets.
        """
        service = _service(model.name, model.launcher)
        return await self._access.act(SpawnService(**service, **self.spawned(model, mark)))

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End the service, KILL for what is left after `grace` seconds and some.

        Raise DriverError.
        """
        service = _service(unit.mark.model, unit.launcher)
        grace += AGAIN_SECONDS
        return await self._access.act(
            StopService(**service, identity=unit.identity, grace=grace, kill=KILL_SECONDS)
        )


def _service(model_name: str, launcher: Kind) -> dict[str, Any]:
    """Name the service of a model."""
    service = {"name": f"reconciler-{model_name}.service", "scope": launcher.options["scope"]}
    return Service.model_validate(service).model_dump()
