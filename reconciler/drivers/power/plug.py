"""Smart plugs: a host's socket is switched, and what it draws tells whether the host is on.

Switching on brings up a host whose BIOS powers it on when power returns ("AC restore: power on"),
and no other. A plug that is on already wakes no host. What a meter says is 1 to 10 s old: a plug
that accepts an order is asked, never believed. Sources: each dialect names its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Literal

import anyio

from reconciler.drivers.power.host_power.refusals import Account
from reconciler.drivers.power.plugs import homeassistant, shelly1, shelly2, tasmota
from reconciler.drivers.power.plugs.options import Options
from reconciler.edge import secret
from reconciler.errors import Barred, Declined, DriverError
from reconciler.model.facts import Known, Unknown
from reconciler.model.power import PowerState, Testimony
from reconciler.model.reason import Reason
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.drivers.power.host_power.deps import Reach
    from reconciler.drivers.power.plugs.wire import Outlet, Reading
    from reconciler.model.facts import Fact
    from reconciler.ports import Evidence

__all__ = ["CAPABILITIES", "Driver", "Options"]

CAPABILITIES = Capabilities(can_wake=True, can_testify=True, can_cut=True)
PACE_SECONDS = 2.0
"""How often it is asked at most whether the host is on. What it says is as old as that anyway."""


DIALECTS: dict[str, Callable[[Options, str | None, float], Outlet]] = {
    "tasmota": tasmota.Dialect,
    "shelly1": shelly1.Dialect,
    "shelly2": shelly2.Dialect,
    "homeassistant": homeassistant.Dialect,
}


class Driver:
    """One plug."""

    seconds: ClassVar[float] = 15.0
    """How long one answer may take: Home Assistant waits for up to 10 s for a plug before it
    answers."""

    rest: ClassVar[float] = 10.0
    """How long power stays away before it returns, or the host may not notice that it was gone:
    power supplies store some."""

    boot: ClassVar[float] = 300.0
    """How long a host whose plug this driver has switched on may take to answer."""

    def __init__(self, options: Options, reach: Reach) -> None:
        self.options = options
        self._host = reach.name
        self._refusals = reach.refusals
        self._switched_on = float("-inf")

    async def wake(self) -> Evidence:
        """Switch power on that the host did not have; raise DriverError, also in doubt."""
        with self._ordering("on") as outlet:
            asked = await self._switched(outlet)
        return {"plug": self.options.address, "asked": asked}

    async def _switched(self, outlet: Outlet) -> str:
        reading = await outlet.read()
        if reading.on and anyio.current_time() - self._switched_on < self.boot:
            return "nothing: it was switched on a moment ago"
        if reading.on and not self._is_down(reading):
            raise DriverError(
                f"it is on already, and nothing shows that {self._host} is down; its power button"
                " brings it up"
            )
        # A host that went down leaves its plug on, and comes up only when power returns.
        if reading.on:
            await outlet.switch(False)
        await anyio.sleep(self.rest)
        await outlet.switch(True)
        self._switched_on = anyio.current_time()
        return "on"

    async def wake_problem(self) -> Reason:
        """Explain why it could not wake the host, if it could not."""
        try:
            reading = await self._read()
        except DriverError as error:
            return Reason(
                f"whether {self._plug} could wake {self._host} again is not known: {error.message}"
            )
        # A plug that stays on must see by its meter when the host is down.
        if reading.watts is not None:
            return Reason()
        return Reason(
            f"{self._plug} has no meter, so it could never tell that {self._host} is down and may"
            " lose its power to wake again"
        )

    def _is_down(self, reading: Reading) -> bool:
        # A meter that is wired the other way round counts backwards.
        return reading.watts is not None and abs(reading.watts) < self.options.below

    async def testimony(self) -> Fact[Testimony]:
        """Read relay and meter, and judge the host by them."""
        try:
            reading = await self._read()
        except DriverError as error:
            return Unknown(
                f"{self._plug} does not say whether {self._host} has power: {error.message}"
            )
        return Known(self._judged(reading))

    async def _read(self) -> Reading:
        with self._outlet() as outlet:
            return await outlet.read()

    async def cut(self) -> Evidence:
        """Switch off; raise Declined when the plug said no."""
        with self._ordering("off") as outlet:
            await outlet.switch(False)
        return {"plug": self.options.address, "asked": "off"}

    @contextmanager
    def _ordering(self, way: Literal["on", "off"]) -> Iterator[Outlet]:
        try:
            with self._outlet() as outlet:
                yield outlet
        except DriverError as error:
            raise self._failed(way, error) from error

    def _failed(self, way: Literal["on", "off"], error: DriverError) -> DriverError:
        # What was declined stays declined, and who is barred stays barred.
        kinds = (kind for kind in (Barred, Declined) if isinstance(error, kind))
        kind = next(kinds, DriverError)
        return kind(f"{self._plug} could not be switched {way}: {error.message}")

    @property
    def _plug(self) -> str:
        entity = f"{self.options.entity} at " if self.options.entity else ""
        return f"the plug {entity}{self.options.address}"

    @contextmanager
    def _outlet(self) -> Iterator[Outlet]:
        """Enter with the plug, whose password is read again each time.

        Raise Barred where that is refused, or was a moment ago.
        """
        options = self.options
        password = None if options.password is None else secret.read(options.password)
        account = Account(self._host, options.address, options.user)
        refused = self._refusals.showing(account, password or "")
        try:
            yield DIALECTS[options.dialect](options, password, self.seconds)
        except Barred as error:
            raise refused(error.message) from error

    def _judged(self, reading: Reading) -> Testimony:
        state, words = self._state(reading)
        return Testimony(
            state=state,
            words=f"{self._plug} {words}",
            watts=reading.watts,
            watt_hours=reading.watt_hours,
        )

    def _state(self, reading: Reading) -> tuple[PowerState | None, str]:
        """Tell what a reading says of the host, and in which words."""
        if reading.on is False:
            return "off", "is switched off"
        if reading.watts is None:
            known = "is on and measures nothing" if reading.on else "does not say whether it is on"
            return None, f"{known}: {reading.doubt}" if reading.doubt else known
        gives = f"gives {reading.watts:g} W"
        if self._is_down(reading):
            return "off", f"{gives}, less than {self.options.below:g} W"
        return "on", gives
