"""What the launchers of LXC's containers have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.drivers.launchers.shared.given import GivenUnits
from reconciler.model.onhost.lxc import AskLxc, AskLxcCommand, AskLxcLog, StartLxc, StopLxc
from reconciler.model.origin import SERVICE_NAME, SERVICE_NAME_LIMIT

service_option = Field(
    default=None,
    pattern=SERVICE_NAME,
    max_length=SERVICE_NAME_LIMIT,
    description="The systemd service in the container that is started and stopped; without one the"
    " container is.",
)

LxcNetwork = Annotated[
    Literal["host", "own"],
    Field(
        description="host: it is on its host's network. own: it is reached by its own address, and"
        " `port` is one of its own network."
    ),
]


class LxcUnits(GivenUnits):
    """The launcher of containers. Source: lxc-info, their control groups and their files."""

    what = "container"
    asks, asks_log, asks_command = AskLxc, AskLxcLog, AskLxcCommand
    starts, stops = StartLxc, StopLxc
