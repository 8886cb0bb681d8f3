"""Power over the access to a host: its own systemd is asked to go down, and heeds inhibitors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from reconciler.errors import DriverError, HungUp
from reconciler.model.onhost.power import SendDown
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from typing import Literal

    from reconciler.drivers.power.host_power.deps import Reach
    from reconciler.ports import Evidence

CAPABILITIES = Capabilities(can_shut_down=True, can_suspend=True)


class Options(BaseModel):
    """No options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Driver:
    """The host's own system."""

    needs_permission = True

    def __init__(self, options: Options, reach: Reach) -> None:
        self.options = options
        self._access = reach.host

    async def send_down(self, way: Literal["off", "suspend"]) -> Evidence:
        """Ask it to go down.

        Raise Declined with the host's own words, DriverError when it is not known whether it heard.
        """
        try:
            evidence = await self._access.act(SendDown(way=way))
        except HungUp as error:
            # A host that hangs up meanwhile has heard: it ends all sessions before it is down.
            return {"hung_up": error.message}
        if "doubt" in evidence:
            raise DriverError(f"{evidence['doubt']}; whether it goes down is not known")
        return evidence
