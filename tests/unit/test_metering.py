"""What a host draws is asked beside its passes, and of no witness that cannot tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import anyio
import pytest

from reconciler.core.live_tally import LiveTally
from reconciler.gateway.seats import Seats
from reconciler.loop.metering import Metering
from reconciler.loop.observer import Observer
from reconciler.model import power as seen
from reconciler.model.facts import Known, Unknown
from reconciler.model.observed import AnyFactKey, FactValue, Observed
from reconciler.model.spec import Kind, PowerDriver, Slice
from tests.crash.stage import want
from tests.sample_worlds import HOST, POWER_DRIVERS
from tests.unit.test_live_tally import told
from tests.watched_world import SETTLED, WatchedWorld, run, serving

DAY = 20 * SETTLED


def with_witness(kind: str, slice_: Slice | None = None) -> Slice:
    slice_ = slice_ or want("a")
    power = POWER_DRIVERS.model_copy(update={"proof": PowerDriver(driver=Kind(kind=kind))})
    host = slice_.host.model_copy(update={"power": power})
    return slice_.model_copy(update={"host": host})


@pytest.mark.parametrize(("is_serving", "times"), [(True, 1), (False, 0)])
def test_a_witness_without_a_meter_is_asked_once_and_without_a_gateway_never(
    *, is_serving: bool, times: int
) -> None:
    async def script(watched: WatchedWorld) -> None:
        await anyio.sleep(DAY)
        assert watched.life.calls.count("testimony") == times
        assert f'power_state{{host="{HOST}",state="on"}} 1' in told(watched.tally)
        assert any(line.startswith('model_info{model="a"') for line in told(watched.tally))

    watched = serving()
    watched.world.watched = True
    watched.edit(with_witness("mute", watched.stage.wanted))
    watched.doors = Seats(watched.world.clock.boot) if is_serving else None
    run(watched, script)


class HandWitness:
    """An observer of a witness whose answers are set by hand."""

    def __init__(self) -> None:
        self.asked = 0
        self.says: Known[FactValue] | Unknown = Unknown("it is silent")

    async def look(self, keys: Iterable[AnyFactKey]) -> Observed:
        self.asked += 1
        return Observed(dict.fromkeys(keys, self.says))


def says(watts: float | None) -> Known[FactValue]:
    return Known(seen.Testimony(state="on", words="it says so", watts=watts))


def test_a_witness_that_measures_is_asked_each_time_and_another_one_anew() -> None:
    hand, tally = HandWitness(), LiveTally()
    metering, observer = Metering(tally), cast("Observer", hand)
    watts = f'watts{{host="{HOST}"}} 40'
    for answer, kind, asked in (
        (Unknown("it is silent"), "plug", 1), (says(40), "plug", 2), (says(40), "plug", 3),
        (says(None), "ipmi", 4), (says(40), "ipmi", 4), (says(40), "plug", 5),
    ):  # fmt: skip
        hand.says = answer
        anyio.run(metering.read, observer, with_witness(kind))
        assert (hand.asked, watts in told(tally)) == (asked, answer == says(40) and kind == "plug")
    anyio.run(metering.read, observer, want("a"))
    assert hand.asked == 5, "one that has no witness"
