"""Start and stop systemd services: those that exist already, and those that we make.

Of the former, the unit files, and so the command lines, are the operator's. One runs as defined
unless one of its unit files is newer than its process. The latter are transient: there is no file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reconciler.drivers.launchers.shared.either import GivenOrOwned
from reconciler.drivers.launchers.shared.given import GivenUnits
from reconciler.drivers.launchers.shared.owned_services import OwnedServices
from reconciler.model.onhost.services import (
    AskServiceCommand,
    AskServiceLog,
    AskServices,
    StartService,
    StopService,
)
from reconciler.model.origin import SERVICE_NAME, SERVICE_NAME_LIMIT, Service
from reconciler.model.place import Inside
from reconciler.model.spec import Capabilities, Kind

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Self

    from reconciler.drivers.launchers.shared.given import Given
    from reconciler.model.onhost import Question
    from reconciler.model.spec import ModelSpec
    from reconciler.ports import Access


class Options(BaseModel):
    """The model is a systemd service: one that exists already, or one that is made for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: str | None = Field(
        default=None,
        pattern=SERVICE_NAME,
        max_length=SERVICE_NAME_LIMIT,
        description="The service that exists; MODEL.service unless it is named.",
    )
    scope: Literal["system", "user"] = Field(
        default="system", description="Whose systemd knows it."
    )
    container: bool = Field(
        default=False,
        description=(
            "Whether it makes a container of Podman or Docker at each start, whose paths and"
            " command line are meant."
        ),
    )
    owned: bool = Field(
        default=False,
        description="Whether it is made from the engine's options: reconciler-MODEL.service.",
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.owned and self.unit is not None:
            raise ValueError("unit names a service that exists, and owned makes one; keep one")
        if self.owned and self.container:
            raise ValueError("container is of a service that exists, and owned makes one; keep one")
        return self


def capabilities(options: Options) -> Capabilities:
    """One that we make has a command line of ours."""
    return Capabilities(owns=options.owned)


def inside(options: Options, model_name: str) -> Inside | None:
    """Name the container that a service makes, None where it makes none."""
    name = f"{options.scope}/{_unit(options, model_name)}"
    return Inside(kind="systemd", name=name) if options.container else None


def _unit(options: Options, model_name: str) -> str:
    return options.unit or f"{model_name}.service"


def _owning(scope: Literal["system", "user"]) -> Kind:
    return Kind(kind="systemd", options=Options(owned=True, scope=scope).model_dump(mode="json"))


class _GivenServices(GivenUnits):
    """The launcher of services that exist. Source: systemctl show, and the journal."""

    what, option = "service", "unit"
    asks, asks_log, asks_command = AskServices, AskServiceLog, AskServiceCommand
    starts, stops = StartService, StopService

    def given(self, launcher: Kind, model_name: str) -> Service:
        """Name the service that a model's options mean."""
        options = Options.model_validate(launcher.options)
        return Service(name=_unit(options, model_name), scope=options.scope)

    @staticmethod
    def asked_with(given: Given) -> Hashable:
        """Those of one systemd, which tells of all or of none."""
        return given.scope if isinstance(given, Service) else given

    def asking(self, model: ModelSpec) -> Question:
        """Write what asks for its command line, or for that of the container which it makes."""
        options = Options.model_validate(model.launcher.options)
        name = _unit(options, model.name)
        return AskServiceCommand(name=name, scope=options.scope, container=options.container)


class Driver(GivenOrOwned):
    """The launcher of services, of either sort."""

    needs_definition = False

    def __init__(self, access: Access, models: Sequence[ModelSpec]) -> None:
        """Use a host; each model's own options say which sort of service it is."""
        given = [model for model in models if not self.is_owned(model.launcher)]
        owned = OwnedServices(access, models, _owning)
        super().__init__(_GivenServices(access, given), owned, models)

    @staticmethod
    def is_owned(launcher: Kind) -> bool:
        """Whether a service is made for a model."""
        return Options.model_validate(launcher.options).owned
