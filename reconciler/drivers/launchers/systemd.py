"""Start and stop systemd services that exist already.

Their unit files, and so their command lines, are the operator's. Such a service carries no mark.
That it is a model's is what the model's definition says, and it runs as defined unless one of its
unit files is newer than its process.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from reconciler.edge import secret
from reconciler.model.facts import Binary, Fact, Flags, Known, Mark, Unit, UnitIdentity, Unknown
from reconciler.model.log import LogPart
from reconciler.model.names import Value
from reconciler.model.onhost.answers import understood
from reconciler.model.onhost.services import AskServiceLog, AskServices, StartService, StopService
from reconciler.model.origin import Service
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.model.spec import Kind, ModelSpec
    from reconciler.ports import Access, Evidence

CAPABILITIES = Capabilities()
"""Conversations are not kept: what a saved slot depends on stands in a command line that is not
ours."""

AGAIN_SECONDS = 5.0
KILL_SECONDS = 10.0


class Options(BaseModel):
    """The model is a systemd service that exists already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9:_.@\\-]+\.service$",
        description="The service; MODEL.service unless it is named.",
    )
    scope: Literal["system", "user"] = Field(
        default="system", description="Whose systemd knows it."
    )


class _Running(Value):
    """What runs of a service. `outdated`: one of its unit files is newer."""

    identity: UnitIdentity
    members: tuple[int, ...]
    uptime: float
    started_at: float | None
    leader: bool
    restarts: int
    argv: tuple[str, ...]
    outdated: bool
    ended: str = ""


class _Seen(Service):
    binary: Binary
    unit: _Running | None


_SEEN = TypeAdapter(tuple[_Seen, ...])


class Driver:
    """The launcher of services on the host behind `access`, one for each of `models`."""

    needs_definition = True

    def __init__(self, access: Access, models: Sequence[ModelSpec]) -> None:
        """Use a host; each model's own options name its service."""
        self._access = access
        self._models = models

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[Unit, ...]]:
        """Every service of the models that runs, or that systemd means to start again.

        Source: systemctl show. A service that only a former definition names is its model's still,
        and runs another definition than the wanted one.
        """
        shared = _shared(self._models)
        if shared:
            return Unknown(shared)
        named = _by_service([*self._models, *former])
        seen = await self._seen(named)
        if isinstance(seen, Unknown):
            return seen
        pairs = zip(named, seen.value, strict=True)
        return Known(
            tuple(
                _unit(model, one.unit, model in self._models)
                for model, one in pairs
                if one.unit is not None
            )
        )

    async def binary(self, model: ModelSpec) -> Fact[Binary]:
        """The program that the service runs, as new as its newest file, or why it cannot start."""
        seen = await self._seen([model])
        if isinstance(seen, Unknown):
            return seen
        # A service has its own key; but where ours cannot be read, whether it works is not seen.
        found, missing = seen.value[0].binary, secret.problem(model.command.secrets)
        return Known(found.model_copy(update={"problem": found.problem or missing}))

    async def flags(self, model: ModelSpec) -> Fact[Flags]:  # noqa: ARG002 - the port's
        """No objection: a service's command line is its own."""
        return Known(Flags())

    async def log(self, model_name: str, lines: int = 20, after: str = "") -> Fact[LogPart]:
        """The last lines in the journal of the service's newest start, or those since `after`."""
        service = next(_service_of(model) for model in self._models if model.name == model_name)
        question = AskServiceLog(**service.model_dump(), lines=lines, after=after)
        (fact,) = await self._access.ask([question])
        return understood(fact, LogPart.model_validate, f"the journal of {service.name}")

    async def start(self, model: ModelSpec, _: Mark) -> Evidence:
        """Start the service; raise DriverError."""
        return await self._access.act(StartService(**_service_of(model).model_dump()))

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End the service: as its unit says, KILL for what is left after `grace` seconds and some.

        Raise DriverError.
        """
        service = _service(unit.launcher, unit.mark.model).model_dump()
        grace += AGAIN_SECONDS
        stop = StopService(**service, identity=unit.identity, grace=grace, kill=KILL_SECONDS)
        return await self._access.act(stop)

    async def _seen(self, models: Sequence[ModelSpec]) -> Fact[tuple[_Seen, ...]]:
        """What there is of each model's service, in their order."""
        services = tuple(_service_of(model) for model in models)
        (fact,) = await self._access.ask([AskServices(services=services)])
        return understood(fact, partial(_in_order, services), "the list of the host's services")


def _in_order(services: Sequence[Service], said: Mapping[str, JsonValue]) -> tuple[_Seen, ...]:
    seen = {(one.name, one.scope): one for one in _SEEN.validate_python(said["services"])}
    return tuple(seen[service.name, service.scope] for service in services)


def _service(launcher: Kind, model_name: str) -> Service:
    options = Options.model_validate(launcher.options)
    return Service(name=options.unit or f"{model_name}.service", scope=options.scope)


def _service_of(model: ModelSpec) -> Service:
    return _service(model.launcher, model.name)


def _by_service(models: Sequence[ModelSpec]) -> list[ModelSpec]:
    """The first model of each service."""
    first: dict[Service, ModelSpec] = {}
    for model in models:
        first.setdefault(_service_of(model), model)
    return list(first.values())


def _shared(models: Sequence[ModelSpec]) -> str:
    """Which models name one service; empty when each has its own."""
    # Of two models with one service it cannot be told which of them runs.
    first: dict[Service, str] = {}
    for model in models:
        other = first.setdefault(_service_of(model), model.name)
        if other != model.name:
            both = f"{other} and {model.name} are both the service {_service_of(model).name}"
            return f"{both}; give each its own with unit: in inventory.yaml"
    return ""


def _unit(model: ModelSpec, running: _Running, is_wanted: bool) -> Unit:
    # Any other digest of this version says that the definition changed, and the planner starts the
    # service again.
    is_current = is_wanted and not running.outdated
    digest = model.digest if is_current else f"{model.digest.rpartition(':')[0]}:{'0' * 16}"
    mark = Mark(controller="", model=model.name, digest=digest, port=model.port)
    return Unit(mark=mark, launcher=model.launcher, **running.model_dump(exclude={"outdated"}))
