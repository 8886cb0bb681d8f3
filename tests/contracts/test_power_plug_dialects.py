"""What only one dialect of smart plugs says, against servers that answer as real plugs do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.errors import Declined, DriverError
from tests.contracts.plugged import Bench, of, plugged
from tests.contracts.power import VARIABLE
from tests.contracts.relays import TOKEN
from tests.rigs import plug_server, plugs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with plugged(request.param, monkeypatch) as one:
        yield one


@of("tasmota", "shelly1", "shelly2")
async def test_another_user_may_be_named_or_none(bench: Bench) -> None:
    bench.served.user = "ops"
    assert (await bench.testimony(user="ops")).state == "on"
    bench.served.asked.clear()
    bench.served.password = None
    assert (await bench.testimony(password=None)).state == "on"
    assert not any("Authorization" in asked.headers for asked in bench.served.asked)


@of("shelly1", "shelly2")
async def test_a_socket_that_a_plug_does_not_have_is_unknown(bench: Bench) -> None:
    assert "1" in await bench.reason(channel=1)
    with pytest.raises(DriverError, match="could not be switched off"):
        await bench.driver(channel=1).cut()


@of("shelly2")
@pytest.mark.parametrize(
    "challenge",
    ['Basic realm="a"', "Digest nonsense", 'Digest realm="a", nonce="b", algorithm=ROT13', ""],
)
async def test_a_challenge_that_cannot_be_met_is_a_refusal(bench: Bench, challenge: str) -> None:
    assert isinstance(bench.served, plugs.Shelly2)
    bench.served.challenge = challenge
    assert "answered 401" in await bench.reason()
    with pytest.raises(Declined, match="answered 401"):
        await bench.driver().cut()


@of("tasmota")
@pytest.mark.parametrize(
    ("names", "channel"), [(("POWER1",), None), (("POWER",), 1), (("POWER1", "POWER2"), 2)]
)
async def test_tasmota_may_call_its_relay_by_its_number(
    bench: Bench, names: tuple[str, ...], channel: int | None
) -> None:
    assert isinstance(bench.served, plugs.Tasmota)
    bench.served.names = names
    assert (await bench.testimony(channel=channel)).state == "on"
    await bench.driver(channel=channel).cut()
    assert not bench.served.relay


@of("tasmota")
async def test_tasmota_answers_for_a_relay_that_it_does_not_have_with_an_error_that_is_no_state(
    bench: Bench,
) -> None:
    assert "answered `Power2` with {'Command': 'Error'}; check `channel`" in await bench.reason(
        channel=2
    )
    with pytest.raises(Declined, match="answered `Power2 Off` with"):
        await bench.driver(channel=2).cut()


@of("tasmota")
async def test_tasmota_may_list_the_power_of_every_socket(bench: Bench) -> None:
    assert isinstance(bench.served, plugs.Tasmota)
    bench.served.names, bench.served.listed = ("POWER1", "POWER2"), True
    told = await bench.testimony(channel=2)
    assert (told.watts, told.watt_hours) == (85.0, 1500.0)


@of("tasmota")
async def test_tasmota_may_list_the_power_of_every_socket_and_count_all_together(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(bench.served, plugs.Tasmota)
    bench.served.names = ("POWER1", "POWER2")
    monkeypatch.setattr(
        plugs.Tasmota, "_energy", lambda _: {"ENERGY": {"Total": 9.5, "Power": [300, 85.0]}}
    )
    told = await bench.testimony(channel=2)
    assert (told.watts, told.watt_hours) == (85.0, None)


@of("tasmota")
async def test_tasmota_may_refuse_with_a_warning_that_is_no_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As versions do that answer whatever they are asked with 200."""
    warned = plug_server.Answer({"WARNING": "Need user=<username>&password=<password>"})
    monkeypatch.setattr(plugs.Tasmota, "respond", lambda *_: warned)
    assert "answered `Power` with {'WARNING': 'Need user=" in (reason := await bench.reason())
    assert "check `channel`, `user` and `password`" in reason
    with pytest.raises(Declined, match="WARNING"):
        await bench.driver().cut()


@of("tasmota")
async def test_a_state_that_its_owner_renamed_is_not_known_but_a_meter_still_tells(
    bench: Bench,
) -> None:
    assert isinstance(bench.served, plugs.Tasmota)
    bench.served.texts = ("AUS", "AN")
    assert (await bench.testimony()).state == "on"
    bench.served.draw(None)
    told = await bench.testimony()
    assert told.state is None
    assert (
        "it calls its state 'AN'; `StateText1 OFF` and `StateText2 ON` there undo that"
        in told.words
    )


@of("homeassistant")
@pytest.mark.parametrize("word", ["unavailable", "unknown"])
async def test_what_home_assistant_does_not_hear_of_is_not_known_and_not_switched(
    bench: Bench, word: str
) -> None:
    assert isinstance(bench.served, plugs.HomeAssistant)
    bench.served.word = word
    told = await bench.testimony()
    assert (told.state, told.watts) == (None, None)
    assert told.words.endswith(f"does not say whether it is on: switch.gpu1 is {word}")
    with pytest.raises(
        Declined, match=f"switch.gpu1 is {word}, so Home Assistant cannot switch it"
    ):
        await bench.driver().cut()


@of("homeassistant")
async def test_a_switch_whose_state_is_assumed_proves_nothing_but_its_meter_does(
    bench: Bench,
) -> None:
    assert isinstance(bench.served, plugs.HomeAssistant)
    bench.served.assumed = True
    assert (await bench.testimony()).state == "on"
    told = await bench.testimony(sensor=None)
    assert told.state is None
    assert told.words.endswith("Home Assistant only assumes the state of switch.gpu1")
    await bench.driver().cut()
    assert not bench.served.relay


@of("homeassistant")
async def test_kilowatts_are_watts_and_what_is_neither_is_not_guessed(bench: Bench) -> None:
    assert isinstance(bench.served, plugs.HomeAssistant)
    bench.served.unit = "kW"
    assert (await bench.testimony()).watts == 85.0
    bench.served.unit = "A"
    assert (
        "sensor.gpu1_power says '85.0' in A, which is no power in W or kW; check `sensor`"
        in await bench.reason()
    )


@of("homeassistant")
async def test_an_entity_that_home_assistant_does_not_have_is_declined(bench: Bench) -> None:
    assert "states/switch.gpu9 answered 404" in await bench.reason(entity="switch.gpu9")
    with pytest.raises(Declined, match="Entity not found"):
        await bench.driver(entity="switch.gpu9").cut()


@of("homeassistant")
async def test_a_token_with_a_line_break_is_refused_without_being_shown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"{TOKEN}\n")
    reason = await bench.reason()
    assert "holds characters that no token has" in reason
    assert TOKEN not in reason


async def test_a_plug_of_another_generation_is_told_by_its_dialect() -> None:
    served = plugs.Shelly2()
    with plug_server.serving(served):
        reason = await Bench(
            "shelly2", served, {"dialect": "shelly1", "address": served.address}
        ).reason()
    assert "/status answered 404 with" in reason
    assert reason.endswith(": it does not know that; check `dialect` and `address`")


async def test_the_clamps_of_a_shelly_em_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a Shelly EM (firmware 1.14) answers: one relay, two clamps, which count watt hours."""
    clamp = {
        "power": 0.0,
        "reactive": 0.0,
        "voltage": 231.2,
        "is_valid": True,
        "total": 0.0,
        "total_returned": 0.0,
    }
    status = {
        "relays": [{"ison": True}, {"ison": True}],
        "emeters": [clamp | {"power": 61.5, "total": 1500.5}, clamp],
    }
    monkeypatch.setattr(plugs.Shelly1, "respond", lambda *_: plug_server.Answer(status))
    served = plugs.Shelly1()
    with plug_server.serving(served):
        bench = Bench("shelly1", served, {"dialect": "shelly1", "address": served.address})
        first, second = await bench.testimony(), await bench.testimony(channel=1)
    assert (first.state, first.watts, first.watt_hours) == ("on", 61.5, 1500.5)
    assert (second.state, second.watts, second.watt_hours) == ("off", 0.0, 0.0)
