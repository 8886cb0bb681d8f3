"""Start and stop containers that exist already, on the host's network.

Their command lines are the operator's. One always runs as it was made: to change it is to make
another one of its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from reconciler.drivers.launchers.shared.given import GivenUnits
from reconciler.model.onhost.containers import (
    AskContainerCommand,
    AskContainerLog,
    AskContainers,
    GivenContainer,
    StartContainer,
    StopContainer,
)
from reconciler.model.place import Inside
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from reconciler.model.spec import Kind

CAPABILITIES = Capabilities()


class Options(BaseModel):
    """The model is a Docker container that exists already, on its host's network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    container: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]+$",
        description="The container; that of the model's name unless it is named.",
    )
    socket: str | None = Field(
        default=None,
        pattern=r"^/",
        description=(
            "Where its engine listens. Without it, the only one that answers of"
            " /var/run/docker.sock and /run/podman/podman.sock and, in $XDG_RUNTIME_DIR,"
            " docker.sock and podman/podman.sock."
        ),
    )


def inside(options: Options, model_name: str) -> Inside:
    """Name the container, whose paths are its own."""
    return Inside(kind="docker", name=options.container or model_name, socket=options.socket or "")


class Driver(GivenUnits):
    """The launcher of containers. Source: the API of their engine."""

    what, option = "container", "container"
    asks, asks_log, asks_command = AskContainers, AskContainerLog, AskContainerCommand
    starts, stops = StartContainer, StopContainer

    def given(self, launcher: Kind, model_name: str) -> GivenContainer:
        """Name the container that a model's options mean."""
        options = Options.model_validate(launcher.options)
        return GivenContainer(name=options.container or model_name, socket=options.socket or "")
