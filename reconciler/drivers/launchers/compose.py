"""Start and stop services of compose projects, each a container that its file defines.

They are found by their labels. The file is the operator's; what changed in it counts once the
service is started again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from reconciler.drivers.launchers.shared.given import GivenUnits
from reconciler.model.onhost.compose import (
    AskComposeCommand,
    AskComposeLog,
    AskComposeServices,
    GivenComposeService,
    StartComposeService,
    StopComposeService,
)
from reconciler.model.place import Inside
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from reconciler.model.spec import Kind

CAPABILITIES = Capabilities()

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class Options(BaseModel):
    """The model is a service of a compose project, on its host's network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str = Field(pattern=_NAME, description="The project, as `docker compose ls` has it.")
    service: str | None = Field(
        default=None,
        pattern=_NAME,
        description="The service; that of the model's name unless it is named.",
    )
    file: str | None = Field(
        default=None,
        pattern=r"^/",
        description="The file that defines it; without it, the one that its container names.",
    )
    socket: str | None = Field(
        default=None,
        pattern=r"^/",
        description=(
            "Where its engine listens. Without it, the only one that answers, as for `docker`."
        ),
    )


def inside(options: Options, model_name: str) -> Inside:
    """Name the service, whose container's paths are its own."""
    name = f"{options.project}/{options.service or model_name}"
    return Inside(kind="compose", name=name, socket=options.socket or "")


class Driver(GivenUnits):
    """The launcher of such services. Source: the API of their engine, and the compose program."""

    what, option = "service", "service"
    asks, asks_log, asks_command = AskComposeServices, AskComposeLog, AskComposeCommand
    starts, stops = StartComposeService, StopComposeService

    def given(self, launcher: Kind, model_name: str) -> GivenComposeService:
        """Name the service that a model's options mean."""
        options = Options.model_validate(launcher.options)
        return GivenComposeService(
            project=options.project,
            service=options.service or model_name,
            file=options.file or "",
            socket=options.socket or "",
        )
