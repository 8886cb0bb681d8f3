"""IPMI by the real ipmitool, against a simulated BMC and what ipmitool says of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.drivers.power.ipmi import Driver, Options
from reconciler.errors import Barred, Declined
from reconciler.model import power
from tests.contracts.power import REFERENCE, VARIABLE, said, standing, why_unknown
from tests.contracts.relays import Ipmi, bmc_that_says
from tests.rigs.ipmi import USER

PASSWORD = Ipmi.secret


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ipmi]:
    """A BMC whose host is off."""
    with standing(Ipmi(), tmp_path_factory.mktemp("ipmi")) as one:
        yield one


def driver(**changed: Any) -> Driver:
    """Return a driver of a BMC that nobody is."""
    one = Ipmi()
    one.at(623)
    made: Driver = one.driver(**changed)
    return made


async def test_ipmitool_finds_a_cipher_suite_by_itself(bench: Ipmi) -> None:
    assert (await said(bench.driver(cipher=None))).state == "off"


async def test_a_cipher_suite_that_the_bmc_does_not_know_is_said(bench: Ipmi) -> None:
    reason = await why_unknown(PASSWORD, bench.driver(cipher=17))
    assert "Error in open session response message : invalid authentication algorithm" in reason
    assert "the cipher suite (`cipher:`) is not accepted" in reason


async def test_a_user_that_the_bmc_does_not_know_is_said(bench: Ipmi) -> None:
    assert "answers, but lets nobody not in (RAKP 2 " in await why_unknown(
        PASSWORD, bench.driver(user="nobody")
    )


async def test_a_bmc_that_has_no_session_left_may_be_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "> RAKP 2 message indicates an error : insufficient resources for session"
    bmc_that_says(
        tmp_path,
        f"printf '%s\\n' '{words}' 'Error: Unable to establish IPMI v2 / RMCP+ session' >&2;"
        " exit 1",
        monkeypatch,
    )
    with pytest.raises(Declined, match="opened no session .*insufficient resources") as declined:
        await driver().wake()
    assert not isinstance(declined.value, Barred)


async def test_a_password_is_on_no_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPMITOOL_PASSWORD", "of something else")
    bmc_that_says(
        tmp_path,
        f'echo "$@" >{tmp_path}/words; echo "$IPMITOOL_PASSWORD" >{tmp_path}/password',
        monkeypatch,
    )
    await driver().testimony()
    assert (tmp_path / "password").read_text() == f"{PASSWORD}\n"
    assert (tmp_path / "words").read_text() == (
        "-v -I lanplus -N 1 -R 1 -L OPERATOR -C 3 -H 127.0.0.1 -p 623 -U operator -E"
        " chassis power status\n"
    )


async def test_a_machine_without_ipmitool_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sentence = (
        "the BMC at 127.0.0.1:623 cannot be asked: the controller has no ipmitool; `sudo apt"
        " install ipmitool` there"
    )
    bmc = driver()
    assert await why_unknown(PASSWORD, bmc) == sentence
    with pytest.raises(Declined) as refused:
        await bmc.send_down("off")
    assert refused.value.message == sentence
    assert "attic has no ipmitool" in await why_unknown(PASSWORD, driver(via="attic"))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            "Set Chassis Power Control to Soft failed: Insufficient privilege level",
            "Insufficient privilege level",
        ),
        (
            "Set Chassis Power Control to Soft failed: Command not supported in present state",
            "not supported in present state",
        ),
    ],
)
async def test_a_no_is_a_no(
    lines: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc_that_says(tmp_path, f"echo '{lines}' >&2; exit 1", monkeypatch)
    with pytest.raises(
        Declined, match=f"refused `chassis power soft` of the user operator: .*{reason}"
    ):
        await driver().send_down("off")


@pytest.mark.parametrize(("state", "refused"), [("on", False), ("off", True)])
async def test_a_bmc_that_refuses_to_switch_on_what_is_on_has_nothing_to_do(
    state: str, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no = (
        "echo 'Set Chassis Power Control to Up/On failed: Command not supported in present state'"
        " >&2; exit 1"
    )
    bmc_that_says(
        tmp_path, f"case $* in *status) echo Chassis Power is {state};; *) {no};; esac", monkeypatch
    )
    if refused:
        with pytest.raises(Declined, match="refused `chassis power on`"):
            await driver().wake()
    else:
        assert await driver().wake() == {"asked": "on", "said": "Chassis Power is on"}


async def test_a_state_between_is_neither_on_nor_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc_that_says(tmp_path, "echo Chassis Power is pending", monkeypatch)
    assert await said(driver()) == power.Testimony(
        state=None, words="the BMC at 127.0.0.1:623 says Chassis Power is pending"
    )


async def test_nothing_said_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bmc_that_says(tmp_path, "exit 0", monkeypatch)
    assert "for the BMC at 127.0.0.1:623 ended with code 0 and said: nothing" in await why_unknown(
        PASSWORD, driver()
    )


@pytest.mark.parametrize(
    "changed",
    [{"port": 0}, {"port": 70000}, {"cipher": 18}, {"password": "plain"}, {"privilege": "ADMIN"}],
)
def test_options_that_no_bmc_has_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(
            {"address": "bmc1.lan", "user": USER, "password": REFERENCE, **changed}
        )
