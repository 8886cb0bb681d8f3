"""Speak to a plug through Home Assistant's REST API.

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
    """Whether a switch is on, else why that is not known.

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
        self._wire = Wire(
            options, seconds, {} if password is None else {"Authorization": f"Bearer {password}"}
        )
        self._switch, self._sensor = str(options.entity), options.sensor

    async def read(self) -> Reading:
        """Return what it says of the switch, and of the sensor where there is one."""
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
            raise DriverError(
                f"{self._sensor} says {text!r} in {unit}, which is no power in W or kW; check"
                " `sensor`"
            ) from error

    async def switch(self, on: bool) -> None:
        """Ask the switch to switch, where there is one."""
        state = await self._state()
        if state.gone:
            raise Declined(f"{state.doubt}, so Home Assistant cannot switch it")
        await self._wire.post(
            f"/api/services/switch/turn_{'on' if on else 'off'}", {"entity_id": self._switch}
        )

    async def _state(self) -> State:
        answer = await self._wire.get(f"/api/states/{self._switch}")
        if inner(answer, "attributes", "assumed_state") is True:
            return State(None, f"Home Assistant only assumes the state of {self._switch}")
        text = _text(answer)
        return State(
            STATES.get(text),
            "" if text in STATES else f"{self._switch} is {text}",
            gone=text in SILENT,
        )


def _text(answer: dict[str, JsonValue]) -> str:
    """Return the state of an entity; raise DriverError."""
    text = answer.get("state")
    if not isinstance(text, str):
        raise DriverError(
            f"it answered {str(answer)[:120]}, which is no state of an entity; check `address`"
        )
    return text
