"""A witness is asked at its own pace, and again once something was done."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from reconciler.drivers import DriverCatalog
from reconciler.drivers.power.host_power.paced import Paced
from reconciler.drivers.power.host_power.power import Composed, PowerParts, Waker
from reconciler.edge.clock import SystemClock
from reconciler.fakes.clock import TurnedClock
from reconciler.model import power as seen
from reconciler.model.facts import Fact, Known, Unknown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reconciler.ports import Access, Evidence

NOBODY = cast("Access", None)
WAKE_SECONDS, LOOK_SECONDS = 300.0, 0.1
CATALOG = DriverCatalog("", SystemClock())


async def nowhere() -> str:
    return ""


class Witness:
    """Count who asks, and obey everything."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Fact[seen.Testimony] = Known(seen.Testimony(state="off", words="it draws 1 W"))

    async def testimony(self) -> Fact[seen.Testimony]:
        self.asked += 1
        return self.answer

    async def wake(self) -> Evidence:
        self.answer = Known(seen.Testimony(state="on", words="it draws 90 W"))
        return {}

    async def cut(self) -> Evidence:
        return await self.send_down("off")

    async def send_down(self, _: str) -> Evidence:
        self.answer = Known(seen.Testimony(state="off", words="it draws 1 W"))
        return {}


def composed(one: Witness, seconds: float) -> Composed:
    wakers = (Waker("plug", one),)
    return Composed(
        "box", NOBODY, PowerParts(wakers, one, Paced(one, seconds), one, None, nowhere, NOBODY)
    )


def turned(script: Callable[[], Awaitable[None]]) -> None:
    TurnedClock().run(script)


@pytest.mark.parametrize(
    "answer",
    [Known(seen.Testimony(state="off", words="it draws 1 W")), Unknown("it does not answer")],
)
def test_a_host_that_boots_for_minutes_asks_its_witness_every_two_seconds(
    answer: Fact[seen.Testimony],
) -> None:
    one = Witness()
    one.answer = answer

    async def script() -> None:
        power = composed(one, 2.0)
        until = anyio.current_time() + WAKE_SECONDS
        while anyio.current_time() < until:
            assert await power.testimony() == answer
            await anyio.sleep(LOOK_SECONDS)

    turned(script)
    assert WAKE_SECONDS / 2.5 < one.asked <= WAKE_SECONDS / 2.0 + 1


@pytest.mark.parametrize(
    ("deed", "state"), [("wake", "on"), ("shut_down", "off"), ("suspend", "off"), ("cut", "off")]
)
def test_what_a_witness_said_before_something_was_done_does_not_count_after_it(
    deed: str, state: str
) -> None:
    one = Witness()
    one.answer = Known(seen.Testimony(state=None, words="it draws 9 W"))

    async def script() -> None:
        power = composed(one, 1000.0)
        await power.testimony()
        ways: dict[str, Any] = {"wake": lambda: power.wake(0)}
        await ways.get(deed, getattr(power, deed))()
        fact = await power.testimony()
        assert isinstance(fact, Known)
        assert fact.value is not None
        assert fact.value.state == state

    turned(script)


def test_every_driver_that_testifies_says_its_pace() -> None:
    modules = [import_module(f"reconciler.drivers.power.{kind}") for kind in CATALOG.kinds("power")]
    paces = {one.__name__: one.PACE_SECONDS for one in modules if hasattr(one.Driver, "testimony")}
    assert len(paces) == len(["command", "ipmi", "plug", "proxmox", "redfish"])
    assert min(paces.values()) >= 2.0
