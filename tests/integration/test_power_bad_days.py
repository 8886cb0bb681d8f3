"""Bad days of power, one a row: what happens, what a person reads, the exit code, and that all is
as wanted once it is over.

Hosts really boot and power off. Every row ends as wanted, with no power cut but those that the row
itself is about.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from reconciler.verbs.result import PENDING, REFUSED
from tests.rigs import outside
from tests.rigs.hostrig.client import MODES, Mode
from tests.running import until
from tests.sleeping_stack import COMMAND_SECONDS, HOST, REAL_MODE, SleepingStack

Fault = Callable[[SleepingStack], None]

BOTH: tuple[Mode, ...] = ("light", "nspawn")
WHOLE: tuple[Mode, ...] = ("nspawn",)
"""What only whole systems have: logins, inhibitors, cards, disks."""

LIGHT: tuple[Mode, ...] = ("light",)
"""What is reached on this machine's loopback, or is the same in both modes and takes long."""

ONE: tuple[Mode, ...] = tuple(REAL_MODE)

ROUND = 6
"""How many packets are sent at once at most."""

MOST_ROUNDS = 3

PATIENCE = ("--timeout", "8")
LATE = "no end within the 8 s of --timeout"
KILLED = -signal.SIGKILL


def nothing(_: SleepingStack) -> None:
    """Let nothing happen."""


@contextmanager
def usually(_: SleepingStack) -> Iterator[None]:
    """Have a witness, who tells at once."""
    yield


class Day(NamedTuple):
    """Be one bad day: what is wanted, what happens and at which moments of the journal, and what is
    said of it.

    Then what is mended beside what the rig heals, and how often the power was cut. `lost` is a day
    that no conversation survives, `given` what the inventory says. Who is killed at these moments
    says nothing, who goes on does. Who `halts` waits for it.
    """

    wish: Literal["on", "off"]
    fault: Fault
    sentence: str
    code: int = 0
    at: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    mend: Fault = nothing
    cuts: int = 0
    modes: tuple[Mode, ...] = BOTH
    lost: bool = False
    given: Callable[[SleepingStack], AbstractContextManager[None]] = usually
    halts: bool = False


def has(**faults: float | str) -> Fault:
    """Let the host have faults of the rig."""
    return lambda here: here.rig.fault(HOST, **faults)


def cut(here: SleepingStack) -> None:
    here.rig.cut(HOST)
    here.rig.wait(HOST, "off")


def killed_while_it_hangs(here: SleepingStack) -> None:
    here.rig.fault(HOST, shutdown_hang=1)
    here.killed_at("accepted")


def unplugged(here: SleepingStack) -> None:
    here.rig.link(HOST, "down")


def rekeyed(here: SleepingStack) -> None:
    here.rig.rekey(HOST)


def key_accepted(here: SleepingStack) -> None:
    cut(here)
    here.rig._write_ssh_config()


def python(here: SleepingStack) -> Path:
    """Return what a login finds as python3."""
    return here.rig.root(HOST) / (
        "usr/bin/python3" if here.rig.mode == "nspawn" else "usr/sbin/python3"
    )


def without_python(here: SleepingStack) -> None:
    if here.rig.mode == "nspawn":
        python(here).rename(python(here).with_name("python3.away"))
    else:
        python(here).write_text("#!/bin/sh\necho 'sh: 1: python3: not found' >&2\nexit 127\n")
        python(here).chmod(0o755)


def python_again(here: SleepingStack) -> None:
    if here.rig.mode == "nspawn":
        python(here).with_name("python3.away").rename(python(here))
    else:
        python(here).unlink()


def wrong_card(here: SleepingStack) -> None:
    here.inventory({**here.power, "wake": {**here.wol, "mac": "52:54:00:99:99:99"}})


def as_before(here: SleepingStack) -> None:
    here.inventory()


def inhibited(here: SleepingStack) -> None:
    inhibit = (
        "systemd-inhibit --what=shutdown --who=backup --why=nightly --mode=block sleep infinity"
    )
    assert here.rig.ssh(HOST, f"systemd-run --quiet --unit=keeper {inhibit}").returncode == 0


def uninhibited(here: SleepingStack) -> None:
    assert here.rig.ssh(HOST, "systemctl stop keeper").returncode == 0


def may_not(here: SleepingStack) -> None:
    rule(here).rename(rule(here).with_name("hostrig.away"))


def may_again(here: SleepingStack) -> None:
    rule(here).with_name("hostrig.away").rename(rule(here))


def rule(here: SleepingStack) -> Path:
    """Return what lets the user of the host switch it off. Names with a dot are not read by sudo."""
    return here.rig.root(HOST) / "etc/sudoers.d/hostrig"


def logged_in(here: SleepingStack) -> None:
    words = [
        "ssh",
        "-f",
        "-F",
        str(here.rig.ssh_config),
        "-o",
        "ServerAliveInterval=5",
        f"{HOST}-llm",
        "sleep infinity",
    ]
    quiet = subprocess.DEVNULL
    subprocess.run([*here.rig.prefix, *words], check=True, stdin=quiet, stdout=quiet, stderr=quiet)


def logged_out(here: SleepingStack) -> None:
    assert here.rig.ssh(HOST, "loginctl terminate-user llm").returncode == 0
    # logind keeps who has left for 10 s.
    until(
        lambda: here.rig.ssh(HOST, "loginctl show-user llm").returncode != 0, within=COMMAND_SECONDS
    )


def slots(here: SleepingStack) -> str:
    return f"{here.directory}/models/tiny/slots"


def full(here: SleepingStack) -> None:
    assert here.rig.ssh(HOST, f"mount -t tmpfs -o size=64k tmpfs {slots(here)}").returncode == 0


def emptied(here: SleepingStack) -> None:
    assert here.rig.ssh(HOST, f"umount -l {slots(here)}").returncode == 0


@contextmanager
def inferring(here: SleepingStack) -> Iterator[None]:
    """Have no witness."""
    here.inventory(here.inferring)
    yield


@contextmanager
def in_no_hurry(here: SleepingStack) -> Iterator[None]:
    """Have a host that is on its way down until its power goes."""
    here.rig.fault(HOST, shutdown_hang=1)
    yield


@contextmanager
def as_llm(here: SleepingStack) -> Iterator[None]:
    """Log in as a user without privileges."""
    here.directory = "/home/llm/reconciler"
    here.inventory(access=here.access(f"{HOST}-llm"))
    yield


@contextmanager
def requiring(here: SleepingStack) -> Iterator[None]:
    """Stop nothing that cannot be saved."""
    here.inventory(model=", conversations: require")
    yield


@contextmanager
def forceful(here: SleepingStack) -> Iterator[None]:
    """Let power be cut where the way down hangs."""
    here.inventory({**here.power, "force": here.program(cut="cut")})
    yield


@contextmanager
def dead_plug_first(here: SleepingStack) -> Iterator[None]:
    here.inventory({**here.power, "wake": [outside.dead_plug(), here.wol]})
    yield


@contextmanager
def late_plug(here: SleepingStack) -> Iterator[None]:
    with outside.plug(here.rig, HOST, lag=10.0) as plug:
        here.inventory({"wake": here.wol, "proof": plug})
        yield


@contextmanager
def idle_bmc(here: SleepingStack) -> Iterator[None]:
    with outside.bmc(here.folder / "bmc") as bmc:
        here.inventory({**here.power, "wake": bmc})
        yield


@contextmanager
def troubled_bmc(here: SleepingStack) -> Iterator[None]:
    with outside.bmc(here.folder / "bmc", (500, b"")) as bmc:
        here.inventory({**here.power, "wake": bmc})
        yield


@contextmanager
def distrustful_bmc(here: SleepingStack) -> Iterator[None]:
    with outside.real_bmc(here.folder / "bmc", here.rig, HOST, "wrong") as bmc:
        here.inventory({**here.power, "wake": bmc})
        yield
        assert (here.folder / "bmc" / "bmc.log").read_text().count('" 401 ') == 1


@contextmanager
def guest_that_does_not_start(here: SleepingStack) -> Iterator[None]:
    with outside.guest(
        here.folder / "pve", here.rig, HOST, start="start failed: QEMU exited with code 1"
    ) as guest:
        here.inventory({**here.power, "wake": guest})
        yield


@contextmanager
def guest_that_does_not_stop(here: SleepingStack) -> Iterator[None]:
    with outside.guest(
        here.folder / "pve", here.rig, HOST, shutdown="VM quit/powerdown failed - got timeout"
    ) as guest:
        here.inventory({**here.power, "stop": guest})
        yield


DAYS: dict[str, Day] = {
    # These take two minutes, beside which the rest goes on.
    "its shutdown hangs and force is allowed": Day(
        "off",
        has(shutdown_hang=1),
        "it hangs; its power will be cut",
        given=forceful,
        cuts=1,
        modes=LIGHT,
    ),
    "its shutdown hangs, who sent it down is killed, and force is allowed": Day(
        "off",
        killed_while_it_hangs,
        "await_down box: it hangs; its power will be cut",
        given=forceful,
        cuts=1,
        modes=LIGHT,
    ),
    "packets are lost": Day("on", has(ignore_packets=2), "wake box", modes=ONE),
    "a whole round of packets is lost": Day(
        "on", has(ignore_packets=ROUND + 1), "wake box", modes=WHOLE
    ),
    "the boot hangs before its network": Day(
        "on", has(boot_hang="early"), LATE, 3, words=PATIENCE, mend=cut, cuts=1, modes=WHOLE
    ),
    "the boot hangs before ssh": Day(
        "on", has(boot_hang="net"), LATE, 3, words=PATIENCE, mend=cut, cuts=1, modes=ONE
    ),
    "logins hang": Day("on", has(ssh_slow=600), LATE, 3, words=PATIENCE, modes=ONE),
    "the firmware takes its time": Day("on", has(post_delay=11), "wake box", modes=LIGHT),
    "logins take their time": Day("on", has(ssh_slow=2), "wake box", modes=ONE),
    "the link flaps": Day("on", has(flap="0.5,2"), "wake box", modes=WHOLE),
    "another host key": Day(
        "on",
        rekeyed,
        "its host key is another one than before",
        3,
        words=PATIENCE,
        mend=key_accepted,
        cuts=1,
        modes=ONE,
    ),
    "python3 is missing": Day(
        "on",
        without_python,
        "it needs python3, 3.9 or later, on the PATH there",
        3,
        words=PATIENCE,
        mend=python_again,
        modes=ONE,
    ),
    "who wakes it is killed": Day(
        "on", nothing, "was cut short during wake", KILLED, ("intent wake",), modes=ONE
    ),
    "a BMC does not answer, and packets do": Day(
        "on", nothing, "wake box", given=dead_plug_first, modes=LIGHT
    ),
    "a BMC accepts and does nothing": Day(
        "on", nothing, LATE, 3, words=PATIENCE, given=idle_bmc, mend=as_before, modes=LIGHT
    ),
    "a BMC is in trouble": Day(
        "on", nothing, "500", 3, words=PATIENCE, given=troubled_bmc, mend=as_before, modes=LIGHT
    ),
    "a BMC does not know the password": Day(
        "on",
        nothing,
        "wake box: the BMC at ",
        3,
        given=distrustful_bmc,
        mend=as_before,
        modes=LIGHT,
    ),
    "a task fails after it was accepted": Day(
        "on",
        nothing,
        "start failed: QEMU exited with code 1",
        3,
        words=PATIENCE,
        given=guest_that_does_not_start,
        mend=as_before,
        modes=LIGHT,
    ),
    "a guest is not shut down after that was accepted": Day(
        "off",
        nothing,
        "VM quit/powerdown failed - got timeout",
        3,
        given=guest_that_does_not_stop,
        mend=as_before,
        modes=LIGHT,
    ),
    "a plug shows late what it gives": Day(
        "off", nothing, "shutdown box", given=late_plug, modes=LIGHT
    ),
    "the card is another one": Day(
        "off",
        wrong_card,
        "box has no network card 52:54:00:99:99:99",
        4,
        mend=as_before,
        modes=WHOLE,
    ),
    "the card is disarmed": Day(
        "off",
        has(wol_disarmed=1),
        "Wake-on-LAN is off at eth0 of box; `sudo ethtool -s eth0 wol g` there arms it",
        4,
        modes=WHOLE,
    ),
    "a program keeps it up": Day(
        "off", inhibited, "backup (pid ", 4, mend=uninhibited, modes=WHOLE
    ),
    "somebody is logged in": Day(
        "off", logged_in, "llm is logged in (", 4, mend=logged_out, modes=WHOLE
    ),
    "sudo has no rule": Day(
        "off",
        may_not,
        "llm may not switch it off; `sudo visudo -f /etc/sudoers.d/reconciler` with the line `llm"
        " ALL=(root)",
        4,
        given=as_llm,
        mend=may_again,
        modes=WHOLE,
    ),
    "its disk is full": Day(
        "off", full, "save_slots tiny: went on without it: ", mend=nothing, modes=WHOLE, lost=True
    ),
    "its disk is full and conversations are required": Day(
        "off",
        full,
        "tiny has `conversations: require`, but ",
        4,
        given=requiring,
        mend=emptied,
        modes=WHOLE,
    ),
    "its shutdown hangs": Day("off", has(shutdown_hang=1), LATE, 3, words=PATIENCE),
    "its power is cut while it is up": Day(
        "off", cut, "box: in sync", cuts=1, lost=True, modes=ONE
    ),
    "its power is cut while it saves": Day(
        "off", cut, "save_slots tiny", at=("intent save_slots",), cuts=1, lost=True, modes=ONE
    ),
    "its power is cut while it shuts down": Day(
        "off", cut, "shutdown box", at=("accepted",), cuts=1, given=in_no_hurry, modes=ONE
    ),
    "its link is lost when it is asked to go down": Day(
        "off", unplugged, LATE, 3, ("intent shutdown",), words=PATIENCE, halts=True, modes=ONE
    ),
    "its link is lost when it is asked to go down, and nobody tells": Day(
        "off",
        unplugged,
        LATE,
        3,
        ("intent shutdown",),
        words=PATIENCE,
        halts=True,
        given=inferring,
        modes=ONE,
    ),
    "who sent it down is killed": Day(
        "off", nothing, "was cut short during shutdown", KILLED, ("accepted",)
    ),
}


def in_modes(days: dict[str, Day]) -> dict[str, tuple[Mode, Day]]:
    """Return the days, each with the modes in which it can be."""
    return {
        f"{name}, {mode}": (mode, day)
        for mode in MODES
        for name, day in days.items()
        if mode in day.modes
    }


@pytest.mark.parametrize(
    ("rig", "day"), in_modes(DAYS).values(), ids=in_modes(DAYS), indirect=["rig"]
)
def test_a_bad_day_is_told_and_over_once_its_cause_is_gone(here: SleepingStack, day: Day) -> None:
    with day.given(here):
        if day.wish == "off":
            here.desire("on")
            here.apply()
            here.converse()
        before = here.rig.count(HOST)
        here.desire(day.wish)
        said = befallen(here, day)
        after = here.rig.count(HOST)
        if day.code == REFUSED:
            assert after == before
            here.goes_on()
        assert after["wol_seen"] - before["wol_seen"] <= MOST_ROUNDS * ROUND
        here.rig.heal(HOST)
        day.mend(here)
        if day.code == REFUSED:
            assert here.run("plan", "--detailed-exitcode").returncode == PENDING
            return
        said += here.apply()
        assert day.sentence in said
        here.rig.wait(HOST, day.wish)
        assert here.rig.count(HOST)["power_cuts"] - before["power_cuts"] == day.cuts
        if day.wish == "on":
            here.converse()
        elif not day.lost:
            here.desire("on")
            here.apply()
            here.goes_on()


def befallen(here: SleepingStack, day: Day) -> str:
    """Apply on this day, and return what was said; somebody who is killed says nothing worth
    reading.
    """
    if not day.at:
        day.fault(here)
    if day.code == KILLED:
        here.killed_at(*day.at)
        return ""
    with here.applying(*day.at, code=day.code, words=day.words, halts=day.halts):
        if day.at:
            day.fault(here)
    assert day.sentence in here.applied
    return here.applied
