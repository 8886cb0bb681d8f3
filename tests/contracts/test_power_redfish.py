"""Redfish against a foreign emulator, and a BMC that answers badly, late, or does nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from reconciler.drivers.power import redfish
from reconciler.drivers.power.redfish import Driver
from reconciler.errors import Declined, DriverError
from reconciler.model import power
from tests.contracts.power import HOST, VARIABLE, said, why_unknown
from tests.contracts.relays import Redfish
from tests.rigs.redfish import SYSTEM, SYSTEMS, Bmc, Faulty, emulated, self_signed, serving

OTHER = "gpu2"
PASSWORD = Redfish.secret
WITHIN = 20.0


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bmc]:
    """Two systems of the emulator's own, and no hosts."""
    with emulated(tmp_path_factory.mktemp("crowded"), PASSWORD, (HOST, OTHER)) as bmc:
        yield bmc


ONE = Redfish()


@pytest.fixture(autouse=True)
async def _loop() -> AsyncIterator[None]:
    async with ONE.loop:
        yield


def driver(bmc: Bmc, **changed: Any) -> Driver:
    ONE.at(bmc)
    made: Driver = ONE.driver(**changed)
    return made


# Who asks, and whom.


async def test_a_self_signed_certificate_must_be_named(crowded: Bmc) -> None:
    reason = await why_unknown(PASSWORD, driver(crowded, certificate=None))
    assert "shows a certificate that is not trusted here, so it was not told the password" in reason
    assert f"`openssl s_client -connect {crowded.address} </dev/null | openssl x509`" in reason


async def test_another_certificate_than_the_named_one_is_refused(
    crowded: Bmc, tmp_path: Path
) -> None:
    other, _ = self_signed(tmp_path)
    reason = await why_unknown(PASSWORD, driver(crowded, certificate=str(other)))
    assert f"shows a certificate that is not the one in {other}" in reason


async def test_a_bmc_with_several_systems_wants_one_named(crowded: Bmc) -> None:
    names = f"system-{HOST}, system-{OTHER}"
    assert (
        await why_unknown(PASSWORD, driver(crowded))
        == f"the BMC at {crowded.address} has not one system but these: {names}; `system:` says"
        " which one gpu1 is"
    )
    assert (
        await why_unknown(PASSWORD, driver(crowded, system="gpu3"))
        == f"the BMC at {crowded.address} has no system gpu3; `system:` of gpu1 may be one of:"
        f" {names}"
    )
    assert (await said(driver(crowded, system=f"system-{OTHER}"))).state == "off"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("bmc1.lan", "bmc1.lan"),
        ("10.0.0.9:8443", "10.0.0.9:8443"),
        ("https://bmc1.lan/", "bmc1.lan"),
        ("https://[fd00::9]:443", "[fd00::9]:443"),
    ],
)
async def test_an_address_is_a_host_or_a_url(written: str, meant: str) -> None:
    assert driver(Bmc(written, "/c.pem")).options.address == meant


@pytest.mark.parametrize(
    "written",
    [
        "http://bmc1.lan",
        "https://ann@bmc1.lan",
        "bmc1.lan/redfish/v1",
        "",
        "bmc1 lan",
        "bmc1:https",
        "bmc\u00e9.lan",
    ],
)
async def test_a_password_goes_by_no_other_way(written: str) -> None:
    with pytest.raises(ValidationError, match="the address of a BMC"):
        driver(Bmc(written, "/c.pem"))


# A BMC that says things in its own way.


async def test_a_bmc_that_names_its_ways_elsewhere_may_allow_all(faulty: Faulty) -> None:
    """One with `@Redfish.ActionInfo` for a list, and members without a slash at the end."""
    member = SYSTEM.rstrip("/")
    reset = {
        "target": f"{member}/Actions/ComputerSystem.Reset/",
        "@Redfish.ActionInfo": f"{member}/ResetActionInfo/",
    }
    system = {"@odata.id": member, "PowerState": "Off", "Actions": {"#ComputerSystem.Reset": reset}}
    faulty.more = {SYSTEMS: {"Members": [{"@odata.id": member}]}, member: system}
    assert (await driver(faulty.bmc).wake())["asked"] == "On"
    assert faulty.heard == [f"GET {SYSTEMS}", f"GET {member}", "On"]


# A BMC that sends whoever asks elsewhere.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("whole", [False, True], ids=["path", "url"])
async def test_a_bmc_that_wants_a_slash_is_asked_with_one(
    faulty: Faulty, status: int, *, whole: bool
) -> None:
    faulty.slash, faulty.root, faulty.state = (
        status,
        f"https://{faulty.bmc.address}" if whole else "",
        "On",
    )
    assert (await said(driver(faulty.bmc))).state == "on"
    assert faulty.heard == [f"GET {SYSTEMS}", f"GET {SYSTEMS}/", f"GET {SYSTEM}"]


@pytest.mark.parametrize(
    ("root", "said_so"),
    [
        (
            "https://bmc.example",
            "go to https://bmc.example/redfish/v1/Systems/, which is another host",
        ),
        ("http://127.0.0.1", "go to http://127.0.0.1/redfish/v1/Systems/, which is not encrypted"),
        (
            "https://127.0.0.1:1",
            "go to https://127.0.0.1:1/redfish/v1/Systems/, which is another port",
        ),
        ("https://bmc:http", "go to what is no address"),
    ],
)
async def test_no_other_host_is_told_the_password_and_the_way_is_named(
    faulty: Faulty, root: str, said_so: str
) -> None:
    faulty.slash, faulty.root = 308, root
    reason = await why_unknown(PASSWORD, driver(faulty.bmc))
    assert reason == f"the BMC at {faulty.bmc.address} answered GET with 308: {said_so}"
    assert faulty.heard == [f"GET {SYSTEMS}"]


# A BMC that answers badly.


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Faulty]:
    with serving(Faulty(*self_signed(tmp_path / "tls"))) as server:
        yield server


def error(message: str) -> bytes:
    return json.dumps(
        {
            "error": {
                "message": "See @Message.ExtendedInfo.",
                "@Message.ExtendedInfo": [{"Message": message}],
            }
        }
    ).encode()


async def test_a_bmc_that_accepts_and_does_nothing_is_not_believed(faulty: Faulty) -> None:
    bmc = driver(faulty.bmc)
    assert await bmc.wake() == {"asked": "On", "said": "202 Accepted"}
    assert (await said(bmc)).state == "off"


async def test_where_a_system_is_is_asked_once(faulty: Faulty) -> None:
    bmc = driver(faulty.bmc)
    await said(bmc)
    await said(bmc)
    assert faulty.heard == [f"GET {SYSTEMS}", f"GET {SYSTEM}", f"GET {SYSTEM}"]


@pytest.mark.parametrize("state", ["PoweringOn", "PoweringOff", "Paused"])
async def test_a_state_between_is_neither_on_nor_off(faulty: Faulty, state: str) -> None:
    faulty.state = state
    assert await said(driver(faulty.bmc)) == power.Testimony(
        state=None, words=f"the BMC at {faulty.bmc.address} says PowerState {state}"
    )


async def test_no_state_is_not_known(faulty: Faulty) -> None:
    faulty.state = None
    assert "does not say whether gpu1 is on" in await why_unknown(PASSWORD, driver(faulty.bmc))


async def test_a_bmc_in_trouble_is_a_sentence(faulty: Faulty) -> None:
    faulty.answers["GET"] = (500, error("The service is resetting."))
    reason = await why_unknown(PASSWORD, driver(faulty.bmc))
    assert (
        f"the BMC at {faulty.bmc.address} answered GET with 500: The service is resetting."
        in reason
    )
    assert "the BMC itself may need a reset, which leaves the host running" in reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>Login</html>", "answered 200 with '<html>Login</html>', not with JSON"),
        (b"", "answered 200 with 'nothing', not with JSON"),
        (
            b'{"Members": 3}',
            "answered GET /redfish/v1/Systems with what cannot be understood: Members is wrong",
        ),
        (b'{"Members": [{"@odata.id": "@evil.example/"}]}', "Members.0.@odata.id is wrong"),
        (b'{"Members": [{"@odata.id": "/ \\n"}]}', "Members.0.@odata.id is wrong"),
        (b"[]", "with what cannot be understood: an object is wrong"),
        (b'{"Members": []}', "has not one system but these: none"),
        (
            b'{"Members": "' + b"x" * redfish.SIZE_LIMIT + b'"}',
            f"answered with more than {redfish.SIZE_LIMIT} bytes",
        ),
    ],
)
async def test_garbage_is_a_sentence(faulty: Faulty, body: bytes, reason: str) -> None:
    faulty.answers["GET"] = (200, body)
    assert reason in await why_unknown(PASSWORD, driver(faulty.bmc))


async def test_a_bmc_that_hangs_holds_up_nothing(faulty: Faulty) -> None:
    bmc = driver(faulty.bmc)
    await said(bmc)
    bmc.seconds = 0.3
    faulty.answering.clear()
    with anyio.fail_after(WITHIN):
        assert "was not answered within 0.3 s" in await why_unknown(PASSWORD, bmc)
        assert "was not answered within 0.3 s" in await bmc.wake_problem()


async def test_a_shutdown_whose_answer_is_lost_is_in_doubt(faulty: Faulty) -> None:
    bmc = driver(faulty.bmc)
    bmc.seconds = 1.0
    faulty.on_reset = faulty.answering.clear
    with pytest.raises(
        DriverError, match="whether GracefulShutdown was heard is not known"
    ) as lost:
        await bmc.send_down("off")
    assert not isinstance(lost.value, Declined)
    assert faulty.heard[-1] == "GracefulShutdown"


async def test_a_shutdown_that_broke_in_the_bmc_is_in_doubt(faulty: Faulty) -> None:
    faulty.answers["POST"] = (500, b"")
    with pytest.raises(DriverError, match="answered POST with 500: nothing") as broken:
        await driver(faulty.bmc).send_down("off")
    assert not isinstance(broken.value, Declined)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "answered POST with 400: It said no."),
        (302, "answered POST with 302"),
        (403, "the user operator needs the role Operator there"),
        (501, "with 501"),
    ],
)
async def test_a_no_is_a_no(faulty: Faulty, status: int, reason: str) -> None:
    faulty.answers["POST"] = (status, error("It said no."))
    bmc = driver(faulty.bmc)
    for ask in (bmc.wake, bmc.cut, lambda: bmc.send_down("off")):
        with pytest.raises(Declined, match=reason):
            await ask()


async def test_a_bmc_that_refuses_to_switch_on_what_is_on_has_nothing_to_do(faulty: Faulty) -> None:
    faulty.answers["POST"] = (409, error("The system is already on."))
    with pytest.raises(DriverError, match="409: The system is already on"):
        await driver(faulty.bmc).wake()
    faulty.state = "On"
    assert await driver(faulty.bmc).wake() == {"asked": "On", "said": "PowerState On"}


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        (["ForceOn", "On"], "On"),
        (["ForceOn"], "ForceOn"),
        (["PushPowerButton", "ForceOff"], "PushPowerButton"),
        (None, "On"),
    ],
)
async def test_a_host_is_brought_up_as_the_bmc_allows(
    faulty: Faulty, allowed: list[str] | None, asked: str
) -> None:
    faulty.allowed = allowed
    await driver(faulty.bmc).wake()
    assert faulty.heard[-1] == asked


@pytest.mark.parametrize("state", ["On", "PoweringOn"])
async def test_the_button_of_a_host_that_is_up_is_not_pressed(faulty: Faulty, state: str) -> None:
    faulty.allowed, faulty.state = ["PushPowerButton"], state
    assert await driver(faulty.bmc).wake() == {"asked": None, "said": f"PowerState {state}"}
    assert "PushPowerButton" not in faulty.heard


async def test_what_the_bmc_does_not_offer_is_said_before_it_is_needed(faulty: Faulty) -> None:
    faulty.allowed = ["ForceRestart"]
    bmc = driver(faulty.bmc)
    assert (
        await bmc.wake_problem()
        == f"the BMC at {faulty.bmc.address} does not offer On or ForceOn or PushPowerButton for"
        " gpu1, only ForceRestart"
    )
    with pytest.raises(
        Declined, match="does not offer GracefulShutdown for gpu1, only ForceRestart"
    ):
        await bmc.send_down("off")
    with pytest.raises(Declined, match="does not offer ForceOff"):
        await bmc.cut()


async def test_a_system_that_moved_is_found_again(faulty: Faulty) -> None:
    bmc = driver(faulty.bmc)
    await said(bmc)
    faulty.answers["GET"] = (404, b"{}")
    assert "answered GET with 404" in await why_unknown(PASSWORD, bmc)
    del faulty.answers["GET"]
    await said(bmc)
    assert faulty.heard[-2:] == [f"GET {SYSTEMS}", f"GET {SYSTEM}"]
