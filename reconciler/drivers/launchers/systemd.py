"""Start and stop services of systemd that exist already: their unit files, and so their command lines, are the operator's.

Such a service carries no mark. That it is a model's is what the model's definition says, and it
runs as defined unless one of its unit files is newer than its process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from reconciler.edge import secret
from reconciler.model.facts import Binary, Fact, Flags, Known, Mark, Unit, UnitIdentity, Unknown
from reconciler.model.log import LogPart
from reconciler.model.names import Value
from reconciler.model.onhost import AskServiceLog, AskServices, StartService, StopService
from reconciler.model.origin import Service
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model.spec import Kind, ModelSpec
    from reconciler.ports import Access, Evidence

CAPABILITIES = Capabilities()
"""Conversations are not kept: what a saved slot depends on stands in a command line that is not
ours."""

AGAIN_SECONDS = 5.0
KILL_SECONDS = 10.0


class Options(BaseModel):
    """Run the model as a systemd service that exists already."""

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
    """Run services on the host behind `access`, one for each of `models`."""

    needs_definition = True

    def __init__(self, access: Access, models: Sequence[ModelSpec]) -> None:
        """Use a host; each model's own options name its service."""
        self._access = access
        self._models = models

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[Unit, ...]]:
        """Return every service of the models that runs, or that systemd means to start again.

        Source: systemctl show.

        A service that only a former definition names is its model's still, and runs another
        definition than the wanted one.
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
        """Return the program that the service runs, as new as its newest file.

        Or why the service cannot be started.

        A service has its own key; but where ours cannot be read, nobody could see whether it works.
        """
        seen = await self._seen([model])
        if isinstance(seen, Unknown):
            return seen
        found, missing = seen.value[0].binary, secret.problem(model.command.secrets)
        return Known(found.model_copy(update={"problem": found.problem or missing}))

    async def flags(self, model: ModelSpec) -> Fact[Flags]:  # noqa: ARG002 - the port's
        """Return no objection: a service's command line is its own."""
        return Known(Flags())

    async def log(self, model_name: str, lines: int = 20, after: str = "") -> Fact[LogPart]:
        """Return the last lines that the service wrote to the journal since it was started last, or those since `after`."""
        service = next(_service_of(model) for model in self._models if model.name == model_name)
        (fact,) = await self._access.ask(
            [AskServiceLog(**service.model_dump(), lines=lines, after=after)]
        )
        if isinstance(fact, Unknown):
            return fact
        try:
            return Known(LogPart.model_validate(fact.value))
        except ValidationError:
            return Unknown(f"the journal of {service.name} cannot be understood")

    # A service is told nothing.
    async def start(self, model: ModelSpec, mark: Mark) -> Evidence:  # noqa: ARG002
        """Start the service; raise DriverError."""
        return await self._access.act(StartService(**_service_of(model).model_dump()))

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End the service: as its unit says, KILL for what is left after `grace` seconds and some.

        Raise DriverError.
        """
        service, grace = _service(unit.launcher, unit.mark.model), grace + AGAIN_SECONDS
        return await self._access.act(
            StopService(
                **service.model_dump(), identity=unit.identity, grace=grace, kill=KILL_SECONDS
            )
        )

    async def _seen(self, models: Sequence[ModelSpec]) -> Fact[tuple[_Seen, ...]]:
        (fact,) = await self._access.ask(
            [AskServices(services=tuple(_service_of(model) for model in models))]
        )
        if isinstance(fact, Unknown):
            return fact
        try:
            seen = {
                (one.name, one.scope): one for one in _SEEN.validate_python(fact.value["services"])
            }
            return Known(
                tuple(seen[service.name, service.scope] for service in map(_service_of, models))
            )
        except (ValidationError, KeyError):
            return Unknown("the host's services cannot be understood")


def _service(launcher: Kind, model_name: str) -> Service:
    options = Options.model_validate(launcher.options)
    return Service(name=options.unit or f"{model_name}.service", scope=options.scope)


def _service_of(model: ModelSpec) -> Service:
    return _service(model.launcher, model.name)


def _by_service(models: Sequence[ModelSpec]) -> list[ModelSpec]:
    """Return the first model of each service."""
    first: dict[Service, ModelSpec] = {}
    for model in models:
        first.setdefault(_service_of(model), model)
    return list(first.values())


def _shared(models: Sequence[ModelSpec]) -> str:
    """Return which models name one service, empty when each has its own: nobody could say which of them runs."""
    first: dict[Service, str] = {}
    for model in models:
        other = first.setdefault(_service_of(model), model.name)
        if other != model.name:
            name = _service_of(model).name
            return (
                f"{other} and {model.name} are both the service {name}; give each its own with"
                " unit: in inventory.yaml"
            )
    return ""


def _unit(model: ModelSpec, running: _Running, is_wanted: bool) -> Unit:
    # Any other digest of this version says that the definition changed, and the planner starts the
    # service again.
    is_current = is_wanted and not running.outdated
    digest = model.digest if is_current else f"{model.digest.rpartition(':')[0]}:{'0' * 16}"
    mark = Mark(controller="", model=model.name, digest=digest, port=model.port)
    return Unit(mark=mark, launcher=model.launcher, **running.model_dump(exclude={"outdated"}))
