"""Start and stop systemd services that exist already.

Their unit files, and so their command lines, are the operator's. One runs as defined unless one of
its unit files is newer than its process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from reconciler.drivers.launchers.shared.given import GivenUnits
from reconciler.model.onhost.services import (
    AskServiceCommand,
    AskServiceLog,
    AskServices,
    StartService,
    StopService,
)
from reconciler.model.origin import Service
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from reconciler.model.spec import Kind

CAPABILITIES = Capabilities()


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


class Driver(GivenUnits):
    """The launcher of services. Source: systemctl show, and the journal."""

    what, option = "service", "unit"
    asks, asks_log, asks_command = AskServices, AskServiceLog, AskServiceCommand
    starts, stops = StartService, StopService

    def given(self, launcher: Kind, model_name: str) -> Service:
        """Name the service that a model's options mean."""
        options = Options.model_validate(launcher.options)
        return Service(name=options.unit or f"{model_name}.service", scope=options.scope)
