"""Power by the command line, on hosts that really boot: saved, woken, proved, left alone."""

from __future__ import annotations

import re

import pytest

from tests.running import until
from tests.sleeping_stack import COMMAND_SECONDS, HOST, OTHER, REAL_MODE, SETTLED, SleepingStack


def settles(here: SleepingStack, state: str, rows: int) -> None:
    """Wait until the host is in a state after more than so many rows, and nobody is at anything."""
    until(
        lambda: (
            here.rig.state(HOST) == state
            and len(moments := here.moments()) > rows
            and moments[-1] in SETTLED
        ),
        within=COMMAND_SECONDS,
    )


def counted(here: SleepingStack, before: dict[str, int]) -> dict[str, int]:
    """Return how often the host was sent up and down since."""
    now = here.rig.count(HOST)
    return {
        name: now[name] - before[name]
        for name in ("boots", "clean_shutdowns", "power_cuts", "crashes")
    }


def test_a_host_that_went_off_and_came_back_or_lost_its_power_goes_on_with_its_conversation(
    here: SleepingStack,
) -> None:
    before = here.rig.count(HOST)
    here.desire("on")
    assert here.status()["power"] == "off"
    here.apply()
    here.converse()
    here.desire("off")
    said = here.apply()
    assert "save_slots tiny" in said
    assert "0 conversations lost" in said
    assert here.rig.state(HOST) == "off"
    seen = here.status()
    assert (seen["power"], seen["power_evidence"].partition(":")[0]) == ("off", "proved")
    assert seen["power_evidence"].endswith('says "off"')
    here.desire("on")
    assert "restore_slots tiny" in here.apply()
    here.goes_on()
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    here.rig.cut(HOST)
    here.rig.wait(HOST, "off")
    here.apply()
    here.goes_on()
    seen = here.status()
    assert (seen["power"], seen["power_evidence"]) == ("on", "it answers")
    assert counted(here, before) == {
        "boots": 3,
        "clean_shutdowns": 1,
        "power_cuts": 1,
        "crashes": 0,
    }


@pytest.mark.parametrize("rig", REAL_MODE, indirect=True)
def test_a_host_is_prepared_once_in_each_boot_before_its_model_starts(here: SleepingStack) -> None:
    runs, fixed = f"{here.directory}.runs", f"{here.directory}.fixed"
    remembers = {
        "run": [["sh", "-c", f"echo set >> {runs}"]],
        "check": ["test", "-e", fixed],
        "remedies": [["touch", fixed]],
    }
    here.inventory(prepare=remembers)
    here.desire("on")
    here.apply()
    here.apply()
    assert here.moments().index("done prepare") < here.moments().index("intent start")
    assert here.rig.ssh(HOST, f"cat {runs} {fixed}").stdout == "set\n"
    here.desire("off")
    here.apply()
    here.desire("on")
    here.apply()
    # A light host is a process of this machine, and sees its boot.
    boots = 1 if here.rig.mode == "light" else 2
    assert here.rig.ssh(HOST, f"cat {runs}").stdout == "set\n" * boots
    here.inventory(prepare={"run": [["ls", "/no/such/card"]]})
    assert (
        "prepare box: `ls /no/such/card` ended with 2: ls: cannot access '/no/such/card'"
        in here.apply(3)
    )
    assert here.run("plan").returncode == 4
    here.converse()


@pytest.mark.parametrize("rig", REAL_MODE, indirect=True)
def test_silence_beside_an_answering_network_counts_as_off_where_no_witness_is(
    here: SleepingStack,
) -> None:
    here.inventory(here.inferring)
    here.desire("on")
    here.apply()
    here.converse()
    here.desire("off")
    here.apply()
    assert here.rig.state(HOST) == "off"
    seen = here.status()
    assert seen["power"] == "off"
    assert seen["power_evidence"].startswith("inferred: accepted to go down (run ")
    assert "then silent for 30 s while" in seen["power_evidence"]
    here.desire("on")
    here.apply()
    here.goes_on()


@pytest.mark.parametrize("rig", REAL_MODE, indirect=True)
def test_a_silent_host_that_was_not_asked_to_go_down_is_unknown_without_a_witness(
    here: SleepingStack,
) -> None:
    here.inventory(here.inferring)
    here.desire("off")
    # Whether the neighbour that looks for it gives up first is a matter of moments.
    silent = re.compile("does not answer|No route to host")
    assert silent.search(here.apply(4))
    seen = here.status()
    assert seen["power"] == "unknown"
    assert silent.search(seen["power_evidence"])


def test_a_watch_follows_the_file_and_gets_over_reboots_and_power_cuts(here: SleepingStack) -> None:
    here.desire("off")
    with here.watching():
        until(lambda: here.rows() > 0, within=COMMAND_SECONDS)
        for power, then in (("on", here.converse), ("off", None), ("on", here.goes_on)):
            rows = here.rows()
            here.desire(power)
            settles(here, power, rows)
            if then:
                then()
        rows = here.rows()
        here.rig.ssh(HOST, "systemctl reboot")
        until(lambda: "done restore_slots" in here.moments(rows), within=COMMAND_SECONDS)
        settles(here, "on", rows)
        here.goes_on()
        rows = here.rows()
        here.rig.cut(HOST)
        until(lambda: "done restore_slots" in here.moments(rows), within=COMMAND_SECONDS)
        settles(here, "on", rows)
        here.goes_on()


def test_a_host_that_was_switched_on_by_hand_is_left_alone_unless_that_is_enforced(
    here: SleepingStack,
) -> None:
    here.desire("off")
    here.apply()
    switched_on(here)
    before = here.rig.count(HOST)
    assert "it was switched on in the meantime; it stays on until" in here.run("plan").stdout
    here.apply()
    drifted = next(one for one in here.status()["conditions"] if one["type"] == "Drifted")
    assert drifted["status"] == "True"
    assert counted(here, before)["clean_shutdowns"] == 0
    here.desire("off", more=", enforce: true")
    here.apply()
    here.rig.wait(HOST, "off")
    switched_on(here)
    here.apply()
    here.rig.wait(HOST, "off")
    assert counted(here, before) == {
        "boots": 1,
        "clean_shutdowns": 2,
        "power_cuts": 0,
        "crashes": 0,
    }


def switched_on(here: SleepingStack) -> None:
    """Press the power button of a host that is off, and wait until it is up."""
    here.rig.on(HOST)
    here.rig.wait(HOST, "on")


@pytest.mark.parametrize("rig", REAL_MODE, indirect=True)
def test_another_controller_is_refused_by_the_claim_whether_the_host_is_up_or_has_to_be_woken(
    here: SleepingStack,
) -> None:
    here.desire("on")
    here.apply()
    here.converse()
    before = here.rig.count(HOST)
    here.desire("off")
    assert "host box is claimed by" in here.apply(4, directory="another")
    assert counted(here, before) == {
        "boots": 0,
        "clean_shutdowns": 0,
        "power_cuts": 0,
        "crashes": 0,
    }
    here.goes_on()
    here.apply()
    here.desire("on")
    assert "is claimed by" in here.apply(3, directory="another")
    here.apply()
    here.goes_on()


@pytest.mark.parametrize("rig", REAL_MODE, indirect=True)
def test_an_unprivileged_user_powers_its_host_off_by_sudo(here: SleepingStack) -> None:
    llm = here.rig.mode == "nspawn"
    if llm:
        here.as_llm()
    before = here.rig.count(HOST)
    here.desire("on")
    here.apply()
    here.desire("off")
    here.apply()
    assert counted(here, before) == {
        "boots": 1,
        "clean_shutdowns": 1,
        "power_cuts": 0,
        "crashes": 0,
    }


def test_a_neighbour_sends_the_packets_where_the_controller_has_no_way(here: SleepingStack) -> None:
    here.rig.on(OTHER)
    here.rig.wait(OTHER, "on")
    relay = {"access": here.access(OTHER), "power": "none"}
    here.inventory({**here.power, "wake": {**here.wol, "via": "relay"}}, others={"relay": relay})
    here.desire("on")
    here.apply()
    here.converse()
