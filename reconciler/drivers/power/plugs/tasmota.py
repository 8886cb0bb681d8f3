"""Tasmota, by its web requests.

The password goes into a header, never into the address, where it would be in every log on the way;
firmware older than 9.3 has no ear for that. Commands that fail are answered with 200. Source:
tasmota.github.io/docs/Commands, `HandleHttpCommand` in xdrv_01_9_webserver.ino of Tasmota 15.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from reconciler.drivers.power.plugs.wire import Reading, Wire, basic, inner, number
from reconciler.errors import Declined

if TYPE_CHECKING:
    from pydantic import JsonValue

    from reconciler.drivers.power.plugs.options import Options

STATES: dict[JsonValue, bool] = {"ON": True, "OFF": False}
WATT_HOURS = 1000.0
"""Of the kilowatt hour, in which it counts."""


class Dialect:
    """One relay of a Tasmota plug; they are counted from 1."""

    def __init__(self, options: Options, password: str | None, seconds: float) -> None:
        self._wire = Wire(options, seconds, basic(options.user, password))
        self._channel = options.channel
        self._relay = f"Power{options.channel or ''}"

    async def read(self) -> Reading:
        """Ask for state and meter, which are two questions."""
        text = await self._state(self._relay)
        meter = inner(await self._asked("Status 8"), "StatusSNS", "ENERGY")
        watts = number(self._own(inner(meter, "Power")))
        on = STATES.get(text)
        undo = "`StateText1 OFF` and `StateText2 ON` there undo that"
        doubt = f"it calls its state {text!r}; {undo}" if on is None else ""
        return Reading(on, watts, self._watt_hours(meter), doubt)

    def _watt_hours(self, meter: JsonValue) -> float | None:
        power, total = inner(meter, "Power"), inner(meter, "Total")
        # One total of several sockets says nothing of one of them.
        if isinstance(power, list) and not isinstance(total, list):
            return None
        kilowatt_hours = number(self._own(total))
        return None if kilowatt_hours is None else kilowatt_hours * WATT_HOURS

    async def switch(self, on: bool) -> None:
        """Ask the relay to switch."""
        await self._state(f"{self._relay} {'On' if on else 'Off'}")

    async def _state(self, command: str) -> str:
        """Read the state that a command is answered with.

        Raise Declined when it is answered with anything else.
        """
        answer = await self._asked(command)
        texts = [answer.get(name) for name in self._names]
        found = [text for text in texts if isinstance(text, str)]
        if not found:
            check = "check `channel`, `user` and `password`"
            raise Declined(f"it answered `{command}` with {str(answer)[:120]}; {check}")
        return found[0]

    @property
    def _names(self) -> tuple[str, ...]:
        # A plug with one relay calls it POWER or, where that was set, POWER1.
        return ("POWER", "POWER1") if self._channel in {None, 1} else (self._relay.upper(),)

    async def _asked(self, command: str) -> dict[str, JsonValue]:
        return await self._wire.get(f"/cm?cmnd={quote(command)}")

    def _own(self, value: JsonValue) -> JsonValue:
        """Pick the part of this channel from a value that may be one for each."""
        return inner(value, (self._channel or 1) - 1) if isinstance(value, list) else value
