"""What a smart plug of any dialect promises, against servers that answer as real plugs do."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING

import pytest

from reconciler.errors import DriverError
from tests.contracts.plugged import Bench, Forgetful, Hasty, of, plugged
from tests.contracts.power import REFERENCE, VARIABLE
from tests.contracts.relays import PRIVATE, Brisk
from tests.rigs import plug_server, plugs
from tests.rigs.redfish import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with plugged(request.param, monkeypatch) as one:
        yield one


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
async def test_a_host_that_is_down_behind_a_plug_that_is_on_loses_its_power_for_a_while(
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
    bench: Bench, fault: plug_server.Fault, said: str
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
    with plug_server.serving(served, context):
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
    moved = plug_server.Answer("", 301, headers={"Location": "https://plug.example/status"})
    monkeypatch.setattr(plugs.Shelly1, "respond", lambda *_: moved)
    served = plugs.Shelly1()
    with plug_server.serving(served):
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

    def respond(self: plug_server.Plug, request: plug_server.Request) -> plug_server.Answer | None:
        if "moved" in request.target:
            return answered(self, request)
        return plug_server.Answer(
            "",
            308,
            headers={"Location": f"{request.target}{'&' if '?' in request.target else '?'}moved=1"},
        )

    monkeypatch.setattr(kind, "respond", respond)
    assert (await bench.testimony()).state == "on"
