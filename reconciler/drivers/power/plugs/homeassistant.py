"""Home Assistant's REST API, through which a plug is spoken to.

It accepts orders to switches that are not there, so they are looked up before. A switch whose state
it only assumes is one that it cannot tell. Source: developers.home-assistant.io/docs/api/rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.drivers.power.plugs.wire import Reading, Wire, inner
from reconciler.errors import Declined, DriverError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from reconciler.drivers.power.plugs.options import Options

STATES = {"on": True, "off": False}
WATTS = {"W": 1.0, "kW": 1000.0}
SILENT = {"unavailable", "unknown"}


class State(NamedTuple):
    """A switch that is on or off, or the `doubt` why that is not known.

    One that is `gone` cannot be switched either.
    """

    on: bool | None
    doubt: str = ""
    gone: bool = False


class Dialect:
    """One switch entity, and the sensor that measures what it gives."""

    def __init__(self, options: Options, password: str | None, seconds: float) -> None:
        if password is not None and not (password.isascii() and password.isprintable()):
            raise Declined("its token holds characters that no token has, such as a line break")
        headers = {} if password is None else {"Authorization": f"Bearer {password}"}
        self._wire = Wire(options, seconds, headers)
        self._switch, self._sensor = str(options.entity), options.sensor

    async def read(self) -> Reading:
        """Ask for the switch, and for the sensor where there is one."""
        on, doubt, _ = await self._state()
        if self._sensor is None:
            return Reading(on, doubt=doubt)
        answer = await self._wire.get(f"/api/states/{self._sensor}")
        text, unit = _text(answer), str(inner(answer, "attributes", "unit_of_measurement"))
        if text in SILENT:
            return Reading(on, doubt=doubt or f"{self._sensor} is {text}")
        try:
            return Reading(on, float(text) * WATTS[unit], doubt=doubt)
        except (KeyError, ValueError) as error:
            what = f"{text!r} in {unit}, which is no power in W or kW"
            raise DriverError(f"{self._sensor} says {what}; check `sensor`") from error

    async def switch(self, on: bool) -> None:
        """Ask the switch to switch, where there is one."""
        # An order to a switch that is not there would be accepted.
        state = await self._state()
        if state.gone:
            raise Declined(f"{state.doubt}, so Home Assistant cannot switch it")
        service = "turn_on" if on else "turn_off"
        await self._wire.post(f"/api/services/switch/{service}", {"entity_id": self._switch})

    async def _state(self) -> State:
        answer = await self._wire.get(f"/api/states/{self._switch}")
        if inner(answer, "attributes", "assumed_state") is True:
            return State(None, f"Home Assistant only assumes the state of {self._switch}")
        text = _text(answer)
        doubt = "" if text in STATES else f"{self._switch} is {text}"
        return State(STATES.get(text), doubt, gone=text in SILENT)


def _text(answer: dict[str, JsonValue]) -> str:
    """Read the state of an entity; raise DriverError."""
    text = answer.get("state")
    if not isinstance(text, str):
        raise DriverError(
            f"it answered {str(answer)[:120]}, which is no state of an entity; check `address`"
        )
    return text
