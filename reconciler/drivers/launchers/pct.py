"""Start and stop containers of Proxmox VE that exist already.

A container is started and stopped as a whole, or stays up while a service in it is. What it runs is
its own, and it runs as defined unless some of its configuration waits for the next start.
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
    """The model is a container of Proxmox VE that exists already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ct: int = Field(ge=100, le=999999999, description="The number of the container (VMID).")
    service: str | None = service_option
    network: LxcNetwork = "host"


def inside(options: Options, _: str) -> Inside:
    """Name the container, whose paths are its own."""
    return Inside(kind="pct", name=str(options.ct), network=options.network)


class Driver(LxcUnits):
    """The launcher of containers that Proxmox VE keeps."""

    option = "ct"

    def given(self, launcher: Kind, _: str) -> GivenLxc:
        """Name the container that a model's options mean."""
        options = Options.model_validate(launcher.options)
        return GivenLxc(
            name=str(options.ct),
            keeper="pct",
            service=options.service or "",
            network=options.network,
        )
