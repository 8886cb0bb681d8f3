"""Bad days of power, one a row: what a person reads, the exit code, and that all ends as wanted.

Hosts really boot and power off. Every row ends as wanted, with no power cut but those that the row
itself is about.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple

import pytest

from reconciler.verbs.result import PENDING, REFUSED
from tests import power_faults as faults
from tests.rigs.hostrig.client import MODES, Mode
from tests.sleeping_stack import HOST, REAL_MODE, SleepingStack

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


class Day(NamedTuple):
    """One bad day: what is wanted, what happens at which moments of the journal, what is said.

    `fix` undoes what the rig does not heal by itself; `cuts` counts power cuts. No conversation
    survives a `lost` day. `given` is what the inventory says. A command that is killed at these
    moments says nothing; one that `halts` waits until the fault has happened.
    """

    wish: Literal["on", "off"]
    fault: faults.Fault
    sentence: str
    code: int = 0
    at: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    fix: faults.Fault = faults.nothing
    cuts: int = 0
    modes: tuple[Mode, ...] = BOTH
    lost: bool = False
    given: Callable[[SleepingStack], AbstractContextManager[None]] = faults.usually
    halts: bool = False


DAYS: dict[str, Day] = {
    # These take two minutes, beside which the rest goes on.
    "its shutdown hangs and force is allowed": Day(
        "off",
        faults.has(shutdown_hang=1),
        "it hangs; its power will be cut",
        given=faults.forceful,
        cuts=1,
        modes=LIGHT,
    ),
    "its shutdown hangs, who sent it down is killed, and force is allowed": Day(
        "off",
        faults.killed_while_it_hangs,
        "await_down box: it hangs; its power will be cut",
        given=faults.forceful,
        cuts=1,
        modes=LIGHT,
    ),
    "packets are lost": Day("on", faults.has(ignore_packets=2), "wake box", modes=ONE),
    "a whole round of packets is lost": Day(
        "on", faults.has(ignore_packets=ROUND + 1), "wake box", modes=WHOLE
    ),
    "the boot hangs before its network": Day(
        "on",
        faults.has(boot_hang="early"),
        LATE,
        3,
        words=PATIENCE,
        fix=faults.cut,
        cuts=1,
        modes=WHOLE,
    ),
    "the boot hangs before ssh": Day(
        "on",
        faults.has(boot_hang="net"),
        LATE,
        3,
        words=PATIENCE,
        fix=faults.cut,
        cuts=1,
        modes=ONE,
    ),
    "logins hang": Day("on", faults.has(ssh_slow=600), LATE, 3, words=PATIENCE, modes=ONE),
    "the firmware takes its time": Day("on", faults.has(post_delay=11), "wake box", modes=LIGHT),
    "logins take their time": Day("on", faults.has(ssh_slow=2), "wake box", modes=ONE),
    "the link flaps": Day("on", faults.has(flap="0.5,2"), "wake box", modes=WHOLE),
    "another host key": Day(
        "on",
        faults.rekeyed,
        "its host key is another one than before",
        3,
        words=PATIENCE,
        fix=faults.key_accepted,
        cuts=1,
        modes=ONE,
    ),
    "python3 is missing": Day(
        "on",
        faults.without_python,
        "it needs python3, 3.9 or later, on the PATH there",
        3,
        words=PATIENCE,
        fix=faults.python_again,
        modes=ONE,
    ),
    "who wakes it is killed": Day(
        "on", faults.nothing, "was cut short during wake", KILLED, ("intent wake",), modes=ONE
    ),
    "a BMC does not answer, and packets do": Day(
        "on", faults.nothing, "wake box", given=faults.dead_plug_first, modes=LIGHT
    ),
    "a BMC accepts and does nothing": Day(
        "on",
        faults.nothing,
        LATE,
        3,
        words=PATIENCE,
        given=faults.idle_bmc,
        fix=faults.as_before,
        modes=LIGHT,
    ),
    "a BMC is in trouble": Day(
        "on",
        faults.nothing,
        "500",
        3,
        words=PATIENCE,
        given=faults.troubled_bmc,
        fix=faults.as_before,
        modes=LIGHT,
    ),
    "a BMC does not know the password": Day(
        "on",
        faults.nothing,
        "wake box: the BMC at ",
        3,
        given=faults.distrustful_bmc,
        fix=faults.as_before,
        modes=LIGHT,
    ),
    "a task fails after it was accepted": Day(
        "on",
        faults.nothing,
        "start failed: QEMU exited with code 1",
        3,
        words=PATIENCE,
        given=faults.guest_that_does_not_start,
        fix=faults.as_before,
        modes=LIGHT,
    ),
    "a guest is not shut down after that was accepted": Day(
        "off",
        faults.nothing,
        "VM quit/powerdown failed - got timeout",
        3,
        given=faults.guest_that_does_not_stop,
        fix=faults.as_before,
        modes=LIGHT,
    ),
    "a plug shows late what it gives": Day(
        "off", faults.nothing, "shutdown box", given=faults.late_plug, modes=LIGHT
    ),
    "the card is another one": Day(
        "off",
        faults.wrong_card,
        "box has no network card 52:54:00:99:99:99",
        4,
        fix=faults.as_before,
        modes=WHOLE,
    ),
    "the card is disarmed": Day(
        "off",
        faults.has(wol_disarmed=1),
        "Wake-on-LAN is off at eth0 of box; `sudo ethtool -s eth0 wol g` there arms it",
        4,
        modes=WHOLE,
    ),
    "a program keeps it up": Day(
        "off", faults.inhibited, "backup (pid ", 4, fix=faults.uninhibited, modes=WHOLE
    ),
    "a user is logged in": Day(
        "off", faults.logged_in, "llm is logged in (", 4, fix=faults.logged_out, modes=WHOLE
    ),
    "sudo has no rule": Day(
        "off",
        faults.may_not,
        "llm may not switch it off; `sudo visudo -f /etc/sudoers.d/reconciler` with the line `llm"
        " ALL=(root)",
        4,
        given=faults.as_llm,
        fix=faults.may_again,
        modes=WHOLE,
    ),
    "its disk is full": Day(
        "off",
        faults.full,
        "save_slots tiny: went on without it: ",
        fix=faults.nothing,
        modes=WHOLE,
        lost=True,
    ),
    "its disk is full and conversations are required": Day(
        "off",
        faults.full,
        "tiny has `conversations: require`, but ",
        4,
        given=faults.requiring,
        fix=faults.emptied,
        modes=WHOLE,
    ),
    "its shutdown hangs": Day("off", faults.has(shutdown_hang=1), LATE, 3, words=PATIENCE),
    "its power is cut while it is up": Day(
        "off", faults.cut, "box: in sync", cuts=1, lost=True, modes=ONE
    ),
    "its power is cut while it saves": Day(
        "off",
        faults.cut,
        "save_slots tiny",
        at=("intent save_slots",),
        cuts=1,
        lost=True,
        modes=ONE,
    ),
    "its power is cut while it shuts down": Day(
        "off",
        faults.cut,
        "shutdown box",
        at=("accepted",),
        cuts=1,
        given=faults.in_no_hurry,
        modes=ONE,
    ),
    "its link is lost when it is asked to go down": Day(
        "off",
        faults.unplugged,
        LATE,
        3,
        ("intent shutdown",),
        words=PATIENCE,
        halts=True,
        modes=ONE,
    ),
    "its link is lost when it is asked to go down, and no witness tells": Day(
        "off",
        faults.unplugged,
        LATE,
        3,
        ("intent shutdown",),
        words=PATIENCE,
        halts=True,
        given=faults.inferring,
        modes=ONE,
    ),
    "who sent it down is killed": Day(
        "off", faults.nothing, "was cut short during shutdown", KILLED, ("accepted",)
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
        day.fix(here)
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
    """Apply on this day; return what was said, which is nothing where the command is killed."""
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
