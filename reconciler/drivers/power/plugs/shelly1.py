"""Shelly's first generation, by its own API.

A Shelly 1 has no meter and says 0 W all the same, but counts nothing: only what has a total
measures. A meter counts watt minutes, the clamps of an EM watt hours. Source:
shelly-api-docs.shelly.cloud/gen1, and what a Shelly 1 (firmware 1.12) and a Shelly Plug S answer to
/status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.drivers.power.plugs.wire import Reading, Wire, basic, inner, number
from reconciler.errors import DriverError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from reconciler.drivers.power.plugs.options import Options

WATT_MINUTES = 60.0
"""Of the watt hour."""


class Dialect:
    """One relay of a Shelly; they are counted from 0."""

    def __init__(self, options: Options, password: str | None, seconds: float) -> None:
        self._wire = Wire(options, seconds, basic(options.user, password))
        self._channel = options.channel or 0

    async def read(self) -> Reading:
        """Ask for relay and meter, of one moment."""
        answer = await self._wire.get("/status")
        on = inner(answer, "relays", self._channel, "ison")
        if not isinstance(on, bool):
            raise DriverError(f"it has no relay {self._channel}; check `dialect` and `channel`")
        clamp = inner(answer, "emeters", self._channel)
        if clamp is not None:
            return _reading(on, clamp, 1.0)
        return _reading(on, inner(answer, "meters", self._channel), WATT_MINUTES)

    async def switch(self, on: bool) -> None:
        """Ask the relay to switch."""
        way = "on" if on else "off"
        answer = await self._wire.get(f"/relay/{self._channel}?turn={way}")
        if "ison" not in answer:
            raise DriverError(
                f"it answered {str(answer)[:120]}, which says nothing of a relay; check `dialect`"
            )


def _reading(on: bool, meter: JsonValue, per_hour: float) -> Reading:
    total = number(inner(meter, "total"))
    # A Shelly 1 without a meter says 0 W all the same, but has no total.
    if total is None or inner(meter, "is_valid") is not True:
        return Reading(on)
    return Reading(on, number(inner(meter, "power")), total / per_hour)
