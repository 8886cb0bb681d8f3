"""Start and stop containers of LXC that exist already.

A container is started and stopped as a whole, or stays up while a service in it is. What it runs is
its own, and it runs as defined unless its file is newer than its init.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from reconciler.drivers.launchers.shared.lxc import LxcNetwork, LxcUnits, service_option
from reconciler.model.onhost.lxc import GivenLxc
from reconciler.model.place import Inside
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from reconciler.model.spec import Kind

CAPABILITIES = Capabilities()


class Options(BaseModel):
    """The model is a container of LXC that exists already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="The container; that of the model's name unless it is named.",
    )
    service: str | None = service_option
    network: LxcNetwork = "host"


def inside(options: Options, model_name: str) -> Inside:
    """Name the container, whose paths are its own."""
    return Inside(kind="lxc", name=options.name or model_name, network=options.network)


class Driver(LxcUnits):
    """The launcher of containers that LXC itself keeps."""

    option = "name"

    def given(self, launcher: Kind, model_name: str) -> GivenLxc:
        """Name the container that a model's options mean."""
        options = Options.model_validate(launcher.options)
        return GivenLxc(
            name=options.name or model_name,
            keeper="lxc",
            service=options.service or "",
            network=options.network,
        )
