"""A refused password is shown again by no driver of its host for a while: accounts get locked."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import pytest

from reconciler.drivers.power.host_power.power import (
    ATTEMPTS_EACH,
    Composed,
    PowerParts,
    Waker,
)
from reconciler.drivers.power.host_power.refusals import REST_SECONDS, Account, Refusals
from reconciler.errors import Barred, DriverError
from reconciler.fakes.clock import TurnedClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.ports import Access, Evidence

BMC = Account("box", "bmc1.lan", "operator")
SAID = f"no; the same credentials are not shown again within {REST_SECONDS:.0f} s"


def refused(refusals: Refusals, account: Account = BMC, password: str = "wrong") -> str:  # noqa: S107 - nobody's
    """Show a password that is refused, and return what is said of it."""
    with pytest.raises(Barred) as barred:
        raise refusals.showing(account, password)("no")
    return barred.value.message


def test_a_refused_password_is_not_shown_again_before_a_minute_is_over() -> None:
    clock = TurnedClock()
    refusals = Refusals(clock)
    assert refused(refusals) == SAID
    clock.now += REST_SECONDS - 1
    with pytest.raises(Barred) as barred:
        refusals.showing(BMC, "wrong")
    assert barred.value.message == SAID
    clock.now += 1
    refusals.showing(BMC, "wrong")


def test_another_password_is_shown_at_once() -> None:
    refusals = Refusals(TurnedClock())
    refused(refusals)
    refusals.showing(BMC, "right")
    refused(refusals, password="wrong too")  # noqa: S106 - nobody's
    refusals.showing(BMC, "right")


def test_a_refusal_is_about_one_account_of_one_host() -> None:
    refusals = Refusals(TurnedClock())
    refused(refusals)
    for other in (
        BMC._replace(host="attic"),
        BMC._replace(address="bmc2.lan"),
        BMC._replace(user="admin"),
    ):
        refusals.showing(other, "wrong")


def test_no_password_is_kept() -> None:
    refusals = Refusals(TurnedClock())
    refused(refusals)
    assert "wrong" not in repr(vars(refusals))


class Rung:
    """Wake by what is told, one attempt after the other; the last for ever."""

    def __init__(self, *told: DriverError | None) -> None:
        self.told, self.asked = told, 0

    async def wake(self) -> Evidence:
        error = self.told[min(self.asked, len(self.told) - 1)]
        self.asked += 1
        if error is not None:
            raise error
        return {}


def ladder(*rungs: Rung) -> Composed:
    """Return the power of a host with wakers of the kinds 0, 1, 2 and so on."""

    async def nowhere() -> str:
        return ""

    nobody = cast("Access", None)
    wakers = tuple(Waker(str(number), rung) for number, rung in enumerate(rungs))
    return Composed("box", nobody, PowerParts(wakers, None, None, None, None, nowhere, nobody))


def climbed(*rungs: Rung, attempts: Sequence[int]) -> list[DriverError | None]:
    """Return what came of these attempts to wake a host."""
    power = ladder(*rungs)

    async def climb() -> list[DriverError | None]:
        came: list[DriverError | None] = []
        for attempt in attempts:
            try:
                await power.wake(attempt)
            except DriverError as error:
                came.append(error)
            else:
                came.append(None)
        return came

    return anyio.run(climb)


def test_who_is_not_let_in_is_not_asked_again_in_this_wake_and_anew_in_the_next() -> None:
    bmc = Rung(Barred("not you"))
    came = climbed(bmc, attempts=(0, 1, 2, 0))
    assert [(type(error), str(error)) for error in came] == [(Barred, "not you")] * 4
    assert bmc.asked == 2


def test_who_is_not_let_in_leaves_it_to_the_others() -> None:
    bmc, packets = Rung(Barred("not you")), Rung(None)
    assert climbed(bmc, packets, attempts=(0, 1, 2)) == [None] * 3
    assert (bmc.asked, packets.asked) == (1, 3)


def test_who_joins_late_and_is_not_let_in_is_asked_once() -> None:
    packets, bmc = Rung(None), Rung(Barred("not you"))
    assert climbed(packets, bmc, attempts=range(ATTEMPTS_EACH + 3)) == [None] * (ATTEMPTS_EACH + 3)
    assert (packets.asked, bmc.asked) == (ATTEMPTS_EACH + 3, 1)


def test_a_host_is_still_woken_while_another_way_just_failed() -> None:
    plug, bmc = Rung(DriverError("silent"), None), Rung(Barred("not you"))
    failed, woken = climbed(bmc, plug, attempts=(0, 1))
    assert (type(failed), str(failed), woken) == (DriverError, "not you; silent", None)
    assert bmc.asked == 1


def test_it_is_told_of_which_kind_those_were_that_were_asked() -> None:
    power = ladder(Rung(None), Rung(Barred("not you")), Rung(None))

    async def climb() -> list[object]:
        return [(await power.wake(attempt))["by"] for attempt in (0, 2 * ATTEMPTS_EACH)]

    assert anyio.run(climb) == [["0"], ["0", "2"]]
