"""The rig under other tests: its hosts that are off are off, and their faults really happen."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import EMBEDDED_SERVER
from tests.rigs.hostrig.client import MODES, Mode, Rig, groups, need_mode, plugged
from tests.rigs.hostrig.light import MARKER
from tests.rigs.hostrig.members import members
from tests.rigs.hostrig.packet import SYNC, octets, pattern
from tests.running import until
from tests.sleeping_stack import HOST, OTHER, asleep

# Nothing else on this machine sleeps as long: hosts of light mode see its other processes.
SECONDS = str(4_000_000_000 + os.getpid())

ENGINE = f"setsid sleep {SECONDS} >/dev/null 2>&1 </dev/null &"


@pytest.fixture(scope="module", params=MODES)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    with plugged(tmp_path_factory.mktemp("hosts") / "rig", (HOST, OTHER), request.param) as made:
        yield made


@pytest.fixture
def off(shared: Rig) -> Rig:
    return asleep(shared)


@pytest.fixture
def on(shared: Rig) -> Rig:
    shared.heal(HOST)
    shared.on(HOST)
    shared.wait(HOST, "on")
    return shared


def counted(rig: Rig, before: dict[str, int]) -> dict[str, int]:
    return {
        name: number - before[name]
        for name, number in rig.count(HOST).items()
        if number != before[name]
    }


def poweroff(rig: Rig) -> None:
    assert rig.ssh(HOST, "systemctl --check-inhibitors=yes poweroff").returncode in {0, 255}


def engine_runs(rig: Rig) -> bool:
    return (
        rig.ssh(HOST, f"grep -lzx '{SECONDS[:-1]}[{SECONDS[-1]}]' /proc/[0-9]*/cmdline").stdout
        != ""
    )


def test_a_good_packet_boots_what_was_silent_and_lets_in_who_checks_its_key(off: Rig) -> None:
    silent = off.ssh(HOST, "true", connect_seconds=1)
    assert (silent.returncode, silent.stdout) == (255, "")
    assert "timed out" in silent.stderr or "No route" in silent.stderr
    before = off.count(HOST)
    off.send(HOST)
    off.wait(HOST, "on")
    let_in = off.ssh(HOST, "pwd")
    assert (let_in.returncode, let_in.stdout.strip()) == (0, str(off.home(HOST)))
    assert counted(off, before) == {"boots": 1, "wol_seen": 1, "wol_accepted": 1}
    assert off.state(OTHER) == "off"


def test_packets_that_wake_no_host(off: Rig) -> None:
    mac = off.host(HOST).mac
    off.fault(HOST, secureon="01:02:03:04:05:06", ignore_packets=1)
    for packet, counter in (
        (pattern(mac)[:-1], "wol_malformed"),
        (SYNC + octets("52:54:00:99:99:99") * 16, "wol_other_mac"),
        (pattern(mac), "wol_bad_password"),
        (pattern(mac) + octets("01:02:03:04:05:06"), "wol_ignored_by_fault"),
    ):
        before = off.count(HOST)
        off.send(HOST, packet)
        off.wait_count(HOST, counter, before[counter] + 1)
        assert counted(off, before) == {"wol_seen": 1, counter: 1}
    assert off.state(HOST) == "off"
    off.send(HOST, b"anything" + pattern(mac) + octets("01:02:03:04:05:06"))
    off.wait(HOST, "on")


def test_a_card_that_the_host_itself_disarmed_is_deaf(on: Rig) -> None:
    assert "Wake-on: g" in on.ssh(HOST, "ethtool eth0").stdout
    assert on.ssh(HOST, "ethtool -s eth0 wol d").returncode == 0
    assert "Wake-on: d" in on.ssh(HOST, "ethtool eth0").stdout
    poweroff(on)
    on.wait(HOST, "off")
    before = on.count(HOST)
    on.send(HOST)
    on.wait_count(HOST, "wol_ignored_by_fault", before["wol_ignored_by_fault"] + 1)
    assert on.state(HOST) == "off"
    on.fault(HOST, wol_disarmed=0)
    on.send(HOST)
    on.wait(HOST, "on")
    assert "Wake-on: g" in on.ssh(HOST, "sudo -n ethtool eth0").stdout


def test_a_poweroff_over_ssh_is_clean_and_keeps_the_disk(on: Rig) -> None:
    before = on.count(HOST)
    on.ssh(HOST, f"echo remembered >kept; {ENGINE}")
    poweroff(on)
    on.wait(HOST, "off")
    assert counted(on, before) == {"clean_shutdowns": 1}
    assert (on.root(HOST) / "root/kept").read_text() == "remembered\n"
    on.on(HOST)
    on.wait(HOST, "on")
    assert on.ssh(HOST, "cat kept").stdout == "remembered\n"
    assert not engine_runs(on)


def test_a_power_cut_ends_everything_at_once(on: Rig) -> None:
    before = on.count(HOST)
    assert on.ssh(HOST, ENGINE).returncode == 0
    assert engine_runs(on)
    on.cut(HOST)
    on.wait(HOST, "off", 5)
    assert counted(on, before) == {"power_cuts": 1}
    on.on(HOST)
    on.wait(HOST, "on")
    assert not engine_runs(on)


def test_the_power_button_shuts_down_and_a_reboot_comes_back(on: Rig) -> None:
    before = on.count(HOST)
    on.ssh(HOST, "systemctl reboot")
    on.wait_count(HOST, "reboots", before["reboots"] + 1)
    on.wait(HOST, "on")
    on.button(HOST)
    on.wait(HOST, "off")
    assert counted(on, before) == {"reboots": 1, "boots": 1, "clean_shutdowns": 1}


def test_a_shutdown_that_hangs_goes_on_when_the_hang_ends(on: Rig) -> None:
    before = on.count(HOST)
    on.fault(HOST, shutdown_hang=1)
    poweroff(on)
    on.wait(HOST, "stopping")
    assert counted(on, before) == {}
    on.fault(HOST, shutdown_hang=0)
    on.wait(HOST, "off")
    assert counted(on, before) == {"clean_shutdowns": 1}


def test_a_boot_that_hangs_ends_with_a_power_cut(off: Rig) -> None:
    for hang in ("early", "net"):
        before = off.count(HOST)
        off.fault(HOST, boot_hang=hang)
        off.on(HOST)
        off.wait_count(HOST, "boots", before["boots"] + 1)
        assert off.ssh(HOST, "true", connect_seconds=1).returncode == 255
        assert off.state(HOST) == "booting"
        off.cut(HOST)
        off.wait(HOST, "off")
        assert counted(off, before) == {"boots": 1, "power_cuts": 1}


def test_slow_firmware_slow_logins_and_a_link_that_comes_and_goes(off: Rig) -> None:
    before = off.count(HOST)
    off.fault(HOST, post_delay=600, ssh_slow=0.4)
    off.on(HOST)
    off.cut(HOST)
    off.wait(HOST, "off")
    assert counted(off, before) == {"power_cuts": 1}
    off.fault(HOST, post_delay=0.1)
    off.on(HOST)
    off.wait(HOST, "on")
    asked = time.monotonic()
    assert off.ssh(HOST, "true").returncode == 0
    assert time.monotonic() - asked > 0.4
    off.fault(HOST, flap="0.05,0.05")
    for link in ("down", "up", "down"):
        until(lambda wanted=link: off.ask("status", HOST)["link"] == wanted)  # type: ignore[misc]
    off.fault(HOST, flap="")
    assert off.ask("status", HOST)["link"] == "up"


def test_ports_of_a_host_are_reached_through_ssh(on: Rig) -> None:
    at = on.host(HOST)
    forward = [*on.prefix, "ssh", "-F", str(on.ssh_config), "-W", f"{at.ip}:{at.ssh_port}", HOST]
    with subprocess.Popen(forward, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as through:
        assert through.stdout is not None
        assert through.stdout.readline().startswith(b"SSH-2.0")


def test_a_host_whose_link_is_down_is_silent_and_runs(on: Rig) -> None:
    on.ssh(HOST, ENGINE)
    on.link(HOST, "down")
    assert on.ssh(HOST, "true", connect_seconds=1).returncode == 255
    assert on.state(HOST) == "on"
    on.link(HOST, "up")
    assert engine_runs(on)


def test_a_host_with_a_new_key_is_not_trusted(tmp_path: Path) -> None:
    with plugged(tmp_path, (HOST,), "light") as rig:
        rig.rekey(HOST)
        rig.on(HOST)
        rig.wait(HOST, "on")
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in rig.ssh(HOST, "true").stderr


@pytest.mark.parametrize("mode", MODES)
def test_a_user_may_do_what_sudo_allows_and_runs_the_engines_of_this_checkout(
    tmp_path: Path, mode: Mode
) -> None:
    with plugged(tmp_path, (HOST,), mode) as rig:
        rig.on(HOST)
        rig.wait(HOST, "on")
        user = f"{HOST}-llm" if mode == "nspawn" else HOST
        assert rig.ssh(user, "sudo -n -l systemctl --check-inhibitors=no poweroff").returncode == 0
        assert "Wake-on: g" in rig.ssh(user, "sudo -n ethtool eth0").stdout
        if mode == "nspawn":
            shown = rig.ssh(user, "/usr/sbin/ethtool eth0; sudo -n systemctl halt")
            assert "Wake-on" not in shown.stdout
            assert (
                shown.stderr
                == "netlink error: Operation not permitted\nsudo: a password is required\n"
            )
        engine = rig.ssh(user, f"{sys.executable} {EMBEDDED_SERVER}")
        assert "the following arguments are required: -m/--model" in engine.stderr


@pytest.mark.parametrize("mode", MODES)
def test_two_rigs_side_by_side_do_not_hear_each_other(tmp_path: Path, mode: Mode) -> None:
    with (
        plugged(tmp_path / "one", (HOST,), mode) as one,
        plugged(tmp_path / "two", (HOST,), mode) as two,
    ):
        assert one.host(HOST).mac == two.host(HOST).mac
        one.send(HOST)
        one.wait(HOST, "on")
        assert two.count(HOST)["wol_seen"] == 0
        two.send(HOST)
        two.wait(HOST, "on")
        assert one.count(HOST)["wol_seen"] == 1


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_left_of_a_rig_whose_test_failed(tmp_path: Path, mode: Mode) -> None:
    def failing() -> None:
        with plugged(tmp_path, (HOST,), mode) as rig:
            tokens.append(rig.token)
            rig.on(HOST)
            rig.wait(HOST, "on")
            assert rig.ssh(HOST, ENGINE).returncode == 0
            raise ZeroDivisionError

    tokens: list[str] = []
    with pytest.raises(ZeroDivisionError):
        failing()
    assert remains(tmp_path, tokens[0]) == []


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_left_of_a_rig_whose_test_was_killed(tmp_path: Path, mode: Mode) -> None:
    need_mode(mode)
    program = f"""
from pathlib import Path
from tests.rigs.hostrig.client import plugged
with plugged(Path({str(tmp_path)!r}), ({HOST!r},), {mode!r}) as rig:
    rig.on({HOST!r})
    rig.wait({HOST!r}, "on")
    rig.ssh({HOST!r}, {ENGINE!r})
    print(rig.token, flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as test:
        assert test.stdout is not None
        token = test.stdout.readline().decode().strip()
        assert remains(tmp_path, token) != []
        test.send_signal(signal.SIGKILL)
    until(lambda: remains(tmp_path, token) == [])


def remains(folder: Path, token: str) -> list[str]:
    """What is left of a rig: processes that it started or marked, mounts, and control groups."""
    found = [f"process {pid}" for pid in members(f"{MARKER}={folder}:".encode())]
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if (
                process.name.isdigit()
                and int(process.name) != os.getpid()
                and str(folder).encode() in (process / "cmdline").read_bytes()
            ):
                found.append(f"process {process.name}")
    mounts = Path("/proc/self/mountinfo").read_text()
    return (
        found
        + [f"mount {folder}" for _ in range(str(folder) in mounts)]
        + [str(group) for group in groups(token)]
    )
