"""What makes a day of power bad: what happens to a host and its power, and how it goes away."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rigs import outside
from tests.running import until
from tests.sleeping_stack import COMMAND_SECONDS, HOST, SleepingStack

Fault = Callable[[SleepingStack], None]


def nothing(_: SleepingStack) -> None:
    """Let nothing happen."""


@contextmanager
def usually(_: SleepingStack) -> Iterator[None]:
    """Have a witness, who tells at once."""
    yield


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
    """The rule that lets the host's user switch it off; sudo reads no name with a dot."""
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
    here.as_llm()
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
