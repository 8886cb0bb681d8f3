"""Send a host down through its own system: systemd, asked over the access to the host, inhibitors heeded."""

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
    """Take no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Driver:
    """Ask the host itself."""

    needs_permission = True

    def __init__(self, options: Options, reach: Reach) -> None:
        self.options = options
        self._access = reach.host

    async def send_down(self, way: Literal["off", "suspend"]) -> Evidence:
        """Ask it to go down.

        Raise Declined with the host's own words, DriverError when nobody can say whether it heard.

        A host that hangs up meanwhile has heard: it ends the sessions of everybody before it is
        down.
        """
        try:
            evidence = await self._access.act(SendDown(way=way))
        except HungUp as error:
            return {"hung_up": error.message}
        if "doubt" in evidence:
            raise DriverError(f"{evidence['doubt']}; whether it goes down is not known")
        return evidence
