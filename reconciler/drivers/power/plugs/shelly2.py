"""Shelly's second and later generations, by their own API.

Its user is always admin, and its password is proved by an RFC 7616 digest with SHA-256. Source:
Switch and Authentication in shelly-api-docs.shelly.cloud/gen2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.drivers.power.plugs.wire import Reading, Wire, inner, number
from reconciler.errors import DriverError

if TYPE_CHECKING:
    from reconciler.drivers.power.plugs.options import Options


class Dialect:
    """One switch of a Shelly; they are counted from 0."""

    def __init__(self, options: Options, password: str | None, seconds: float) -> None:
        digest = None if password is None else (options.user, password)
        self._wire = Wire(options, seconds, digest=digest)
        self._channel = options.channel or 0

    async def read(self) -> Reading:
        """Ask for switch and meter, of one moment; one without a meter does not name any watts."""
        answer = await self._wire.get(f"/rpc/Switch.GetStatus?id={self._channel}")
        on = answer.get("output")
        if not isinstance(on, bool):
            silent = f"it does not say whether switch {self._channel} is on"
            raise DriverError(f"{silent}; check `dialect` and `channel`")
        return Reading(on, number(answer.get("apower")), number(inner(answer, "aenergy", "total")))

    async def switch(self, on: bool) -> None:
        """Ask the switch to switch."""
        way = "true" if on else "false"
        answer = await self._wire.get(f"/rpc/Switch.Set?id={self._channel}&on={way}")
        if "was_on" not in answer:
            raise DriverError(
                f"it answered {str(answer)[:120]}, which says nothing of a switch; check `dialect`"
            )
