"""What a smart plug promises as the power of a host, in every dialect, against servers that answer
as real plugs do.
"""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.errors import Declined, DriverError
from tests.contracts.plugged import Bench, Forgetful, Hasty
from tests.contracts.power import REFERENCE, VARIABLE
from tests.contracts.relays import PRIVATE, TOKEN, Brisk
from tests.rigs import plugs
from tests.rigs.redfish import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    dialect = request.param
    served = plugs.DIALECTS[dialect]()
    served.password = PRIVATE[dialect]
    monkeypatch.setenv(VARIABLE, served.password)
    with plugs.serving(served):
        options: dict[str, Any] = {
            "dialect": dialect,
            "address": served.address,
            "password": REFERENCE,
        }
        if dialect == "homeassistant":
            named = {
                "address": f"http://{served.address}/",
                "entity": "switch.gpu1",
                "sensor": "sensor.gpu1_power",
            }
            options |= named
        yield Bench(dialect, served, options)


def of(*dialects: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bench", dialects, indirect=True)


every = of(*plugs.DIALECTS)


@every
async def test_a_relay_that_is_off_proves_that_the_host_is_off(bench: Bench) -> None:
    bench.served.turn(False)
    told = await bench.testimony()
    assert (told.state, told.watts) == ("off", 0.0)
    assert told.words.endswith("is switched off")
    assert bench.served.address in told.words


@every
async def test_a_host_that_draws_little_is_off_and_the_watts_are_named(bench: Bench) -> None:
    bench.served.draw(3.2)
    told = await bench.testimony()
    assert (told.state, told.watts) == ("off", 3.2)
    assert told.words.endswith("gives 3.2 W, less than 10 W")
    assert (await bench.testimony(below=3.2)).state == "on"


@every
@pytest.mark.parametrize("watts", [85.0, -85.0], ids=["forwards", "backwards"])
async def test_a_host_that_draws_power_is_on_even_where_the_meter_counts_backwards(
    bench: Bench, watts: float
) -> None:
    bench.served.draw(watts)
    told = await bench.testimony()
    assert (told.state, told.watts) == ("on", watts)
    assert told.words.endswith(f"gives {watts:g} W")


@every
async def test_a_relay_that_is_on_without_a_meter_tells_nothing(bench: Bench) -> None:
    bench.served.draw(None)
    more = {"sensor": None} if bench.dialect == "homeassistant" else {}
    told = await bench.testimony(**more)
    assert (told.state, told.watts, told.watt_hours) == (None, None, None)
    assert told.words.endswith("is on and measures nothing")


@of("tasmota", "shelly1", "shelly2")
async def test_what_was_drawn_is_counted_in_watt_hours(bench: Bench) -> None:
    assert (await bench.testimony()).watt_hours == 1500.0


@every
async def test_an_order_to_cut_is_no_proof_until_the_plug_shows_it(bench: Bench) -> None:
    bench.served.lag = 3600.0
    assert (await bench.driver().cut())["asked"] == "off"
    assert not bench.served.relay
    assert (await bench.testimony()).state == "on"
    bench.served.lag = 0.0
    assert (await bench.testimony()).state == "off"


@every
async def test_power_stays_away_for_a_while_before_it_returns(bench: Bench) -> None:
    driver = bench.driver()
    await driver.cut()
    assert await driver.wake() == {"plug": bench.options["address"].rstrip("/"), "asked": "on"}
    (off_at, off), (on_at, on) = bench.served.switches
    assert (off, on) == (False, True)
    assert on_at - off_at >= Brisk.rest


@every
async def test_a_plug_whose_host_draws_power_is_never_switched_off_to_wake_it(bench: Bench) -> None:
    with pytest.raises(DriverError, match="it is on already, and nothing shows that gpu1 is down"):
        await bench.driver().wake()
    assert bench.served.switches == []


@every
async def test_a_host_that_is_down_behind_a_plug_that_is_on_loses_its_power_for_a_while_and_gets_it_back(
    bench: Bench,
) -> None:
    bench.served.draw(2.0)
    await bench.driver().wake()
    (off_at, off), (on_at, on) = bench.served.switches
    assert (off, on) == (False, True)
    assert on_at - off_at >= Brisk.rest


@every
async def test_a_plug_that_was_switched_on_counts_as_asked_while_its_host_boots(
    bench: Bench,
) -> None:
    bench.served.turn(False)
    driver = bench.driver()
    assert (await driver.wake())["asked"] == "on"
    assert (await driver.wake())["asked"] == "nothing: it was switched on a moment ago"
    assert [on for _, on in bench.served.switches] == [False, True]
    bench.served.turn(False)
    driver = bench.driver(Forgetful)
    await driver.wake()
    with pytest.raises(DriverError, match="is on already"):
        await driver.wake()


@every
async def test_only_a_plug_that_sees_when_its_host_is_down_could_wake_it(bench: Bench) -> None:
    assert await bench.driver().wake_problem() == ""
    bench.served.fault = "500"
    assert "could wake gpu1 again is not known" in await bench.driver().wake_problem()


@every
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("500", "answered 500 with 'Internal Server Error'"),
        ("404", "answered 404 with 'File Not Found"),
        ("garbage", "answered 200 with '<!DOCTYPE html>"),
        ("list", "which is not what such a plug says; check `dialect`"),
        ("empty", ""),
        ("hangs up", "the connection broke"),
        ("silent", "was not answered within 0.3 s"),
    ],
)
async def test_a_plug_that_fails_is_unknown_and_is_not_switched(
    bench: Bench, fault: plugs.Fault, said: str
) -> None:
    bench.served.fault = fault
    reason = await bench.reason(Hasty)
    assert said in reason
    assert bench.served.address in reason
    for order in (bench.driver(Hasty).cut, bench.driver(Hasty).wake):
        with pytest.raises(DriverError) as caught:
            await order()
        assert bench.served.address in caught.value.message
        assert PRIVATE[bench.dialect] not in caught.value.message
    assert PRIVATE[bench.dialect] not in reason
    assert bench.served.switches == []


@every
async def test_a_secret_is_in_no_address_and_in_no_options(bench: Bench) -> None:
    driver = bench.driver()
    await driver.testimony()
    evidence = await driver.cut()
    private = PRIVATE[bench.dialect]
    assert private not in json.dumps(
        [evidence, driver.options.model_dump(mode="json")], ensure_ascii=False
    )
    assert not any(
        "password" in asked.target or "cret" in asked.target for asked in bench.served.asked
    )
    assert private not in str(vars(driver))


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
async def test_a_challenge_that_nobody_can_meet_is_a_refusal(bench: Bench, challenge: str) -> None:
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
    warned = plugs.Answer({"WARNING": "Need user=<username>&password=<password>"})
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


@pytest.mark.parametrize("dialect", ["homeassistant", "shelly1"])
async def test_a_plug_behind_a_certificate_of_its_own_is_trusted_by_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    served = plugs.DIALECTS[dialect]()
    served.password = PRIVATE[dialect]
    monkeypatch.setenv(VARIABLE, served.password)
    with plugs.serving(served, context):
        options = {
            "dialect": dialect,
            "address": f"https://{served.address}/",
            "password": REFERENCE,
        }
        more = (
            {"entity": "switch.gpu1", "sensor": "sensor.gpu1_power"}
            if dialect == "homeassistant"
            else {}
        )
        bench = Bench(dialect, served, options | more)
        assert (await bench.testimony(certificate=str(certificate))).state == "on"
        asked = len(served.asked)
        reason = await bench.reason()
    assert (
        "it shows a certificate that is not trusted here, so it was not told the password"
        " (self-signed certificate)" in reason
    )
    assert "name the file as `certificate:`" in reason
    assert len(served.asked) == asked


async def test_a_plug_that_sends_elsewhere_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "x")
    moved = plugs.Answer("", 301, headers={"Location": "https://plug.example/status"})
    monkeypatch.setattr(plugs.Shelly1, "respond", lambda *_: moved)
    served = plugs.Shelly1()
    with plugs.serving(served):
        reason = await Bench(
            "shelly1", served, {"dialect": "shelly1", "address": served.address}
        ).reason()
    assert (
        "answered 301: go to https://plug.example/status, which is another host; check `address`"
        in reason
    )


@every
async def test_a_plug_that_sends_to_another_place_of_its_own_is_followed_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(bench.served)
    answered = kind.respond

    def respond(self: plugs.Plug, request: plugs.Request) -> plugs.Answer | None:
        if "moved" in request.target:
            return answered(self, request)
        return plugs.Answer(
            "",
            308,
            headers={"Location": f"{request.target}{'&' if '?' in request.target else '?'}moved=1"},
        )

    monkeypatch.setattr(kind, "respond", respond)
    assert (await bench.testimony()).state == "on"


async def test_a_plug_of_another_generation_is_told_by_its_dialect() -> None:
    served = plugs.Shelly2()
    with plugs.serving(served):
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
    monkeypatch.setattr(plugs.Shelly1, "respond", lambda *_: plugs.Answer(status))
    served = plugs.Shelly1()
    with plugs.serving(served):
        bench = Bench("shelly1", served, {"dialect": "shelly1", "address": served.address})
        first, second = await bench.testimony(), await bench.testimony(channel=1)
    assert (first.state, first.watts, first.watt_hours) == ("on", 61.5, 1500.5)
    assert (second.state, second.watts, second.watt_hours) == ("off", 0.0, 0.0)
