"""The units that are shipped: well-formed, hardened, and what engines need of them stays open."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.booted import Booted, booted_systemd
from tests.running import until
from tests.shipped import ROOT, account, analyze, here, program, understood

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYSTEM, USER = ROOT / "deploy/reconciler.service", ROOT / "deploy/user/reconciler.service"
SERVES, USERS_SERVES = SYSTEM.with_stem("reconciler-serve"), USER.with_stem("reconciler-serve")

MOST_EXPOSED = {SYSTEM: 25, SERVES: 25, USER: 66, USERS_SERVES: 66}
"""What `systemd-analyze security` may say, in tenths; less is better. Whoever opens more has to say
so here."""

UNITS = pytest.mark.parametrize("unit", MOST_EXPOSED, ids=lambda path: "/".join(path.parts[-2:]))
WITHIN = 30.0

ENGINE = """
import ctypes, errno, json, mmap, os, pwd, runpy, socket

def tried(what):
    try:
        what()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

def unshare():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000) != 0:  # CLONE_NEWUSER
        raise OSError(ctypes.get_errno(), "refused")

def device(name):
    return tried(lambda: os.close(os.open(name, os.O_RDWR)))

def write(name):
    return tried(lambda: os.close(os.open(name, os.O_WRONLY | os.O_CREAT)))

CODE = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
GIVEN = ("NOTIFY", "WATCHDOG", "CREDENTIALS")

print("found", json.dumps({
    "compiles into memory": tried(lambda: mmap.mmap(-1, 4096, prot=CODE)),
    "opens a character device": device("/run/project/gpu"),
    "opens a disk": device("/run/project/disk"),
    "writes beside its log": write("beside"),
    "writes to shared memory": write("/dev/shm/reconciler-test"),
    "writes to /tmp": write("/tmp/kernels"),
    "writes to /etc": write("/etc/reconciler-test"),
    "writes to a home": write("/home/reconciler-test"),
    "reads a home": tried(lambda: os.listdir("/home")),
    "is at home where it may write": write(os.path.expanduser("~/kernels")),
    "makes a namespace": tried(unshare),
    "sends raw frames": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "serves": tried(lambda: socket.create_server(("127.0.0.1", 0))),
    "account": pwd.getpwuid(os.getuid()).pw_name,
    "supervised": sorted(name for name in os.environ if name.startswith(GIVEN)),
}), flush=True)
os.unlink("/dev/shm/reconciler-test")
runpy.run_path("/run/project/unhealthy_engine.py", run_name="__main__")
"""
"""What a llama-server tries that wants to know what it may; then it serves."""

EXPECTED = {
    "compiles into memory": "done",
    "opens a disk": "EPERM",
    "writes beside its log": "done",
    "writes to shared memory": "done",
    "writes to /tmp": "done",
    "writes to /etc": "EROFS",
    "writes to a home": "EROFS",
    "reads a home": "done",
    "is at home where it may write": "done",
    "makes a namespace": "EPERM",
    "sends raw frames": "EAFNOSUPPORT",
    "serves": "done",
    "account": "reconciler",
    "supervised": [],
}


@UNITS
def test_a_unit_is_understood_word_by_word(unit: Path, tmp_path: Path) -> None:
    understood(unit, tmp_path)


@UNITS
def test_a_unit_is_as_closed_as_it_was(unit: Path) -> None:
    analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED[unit]}", str(unit))


@UNITS
def test_a_unit_leaves_engines_alone(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert {"KillMode=process", "OOMPolicy=continue", "Type=notify", "NotifyAccess=main"} <= set(
        lines
    )
    assert {"Restart=on-failure", "RestartPreventExitStatus=5 64"} <= set(lines)
    closed = [
        line
        for line in lines
        if line.startswith(
            ("PrivateTmp=", "PrivateDevices=", "MemoryDenyWriteExecute=", "RemoveIPC=")
        )
    ]
    assert closed == []


@pytest.mark.parametrize(("unit", "other"), [(SYSTEM, SERVES), (USER, USERS_SERVES)])
def test_the_unit_that_takes_requests_differs_only_where_it_says(unit: Path, other: Path) -> None:
    here, alike = unit.read_text(), other.read_text().partition("# --- As in ")[2]
    of_its_own = ("ExecStart=", "RestartSec=", "TimeoutStopSec=", "Type=", "NotifyAccess=")
    wanted = settings(here.partition("[Service]")[2].partition("[Install]")[0])
    found = settings(alike.partition("\n")[2].partition("[Install]")[0])
    assert found == [line for line in wanted if not line.startswith(of_its_own)]


def settings(text: str) -> list[str]:
    """Return the lines that set something, sorted, also where they are commented out."""
    return sorted(line for line in text.splitlines() if line and not line.startswith("# "))


@pytest.fixture(scope="module")
def systemd() -> Iterator[Booted]:
    """Boot a systemd in which the shipped unit runs `reconciler watch` as the account it names."""
    with booted_systemd() as booted:
        account(booted)
        program(booted, ENGINE)
        booted.run("mknod", "--mode=666", "/run/project/gpu", "c", "10", "229")
        booted.run("mknod", "--mode=666", "/run/project/disk", "b", "7", "0")
        booted.write("/run/systemd/system/network-online.target", "")
        booted.write("/run/systemd/system/reconciler.service", SYSTEM.read_text())
        booted.define("reconciler.service.d/here.conf", here("watch"))
        booted.run("systemctl", "start", "reconciler")
        until(lambda: booted.shows("reconciler", "StatusText") == "local: applied", WITHIN)
        yield booted


def test_the_account_is_fixed_and_at_home_where_engines_may_write(systemd: Booted) -> None:
    accounts = systemd.path("/run/machine/etc/passwd").read_text()
    assert re.search(
        r"^reconciler:x:\d+:\d+:[^:]+:/var/lib/reconciler-host:", accounts, re.MULTILINE
    )
    groups = systemd.path("/run/machine/etc/group").read_text()
    assert sorted(re.findall(r"^(\w+):x:\d+:reconciler$", groups, re.MULTILINE)) == [
        "render",
        "video",
    ]


def engines(systemd: Booted) -> list[str]:
    """Return the pids of all engines that live, as the machine of the unit counts them."""
    listed = systemd.run("ps", "-eo", "pid,args").splitlines()
    return [line.split()[0] for line in listed if "/run/project/llama-server" in line]


def test_an_engine_in_the_sandbox_can_do_what_engines_do_and_no_more(systemd: Booted) -> None:
    log = systemd.path("/var/lib/reconciler-host/models/m/log").read_text()
    found = json.loads(log.splitlines()[0].removeprefix("found "))
    # A driver that is not there, or another program that holds the device, is no refusal.
    assert found.pop("opens a character device") not in {"EPERM", "EACCES"}
    assert found == EXPECTED


def test_engines_outlive_a_restart_and_the_death_of_their_controller(systemd: Booted) -> None:
    (engine,) = engines(systemd)
    systemd.run("systemctl", "restart", "reconciler")
    until(lambda: systemd.shows("reconciler", "StatusText") == "local: in sync", WITHIN)
    assert engines(systemd) == [engine]
    before = systemd.shows("reconciler", "MainPID")
    systemd.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "reconciler")
    until(lambda: systemd.shows("reconciler", "MainPID") not in {"0", before}, WITHIN)
    until(lambda: systemd.shows("reconciler", "StatusText") == "local: in sync", WITHIN)
    assert engines(systemd) == [engine]


def test_a_controller_that_hangs_is_replaced_and_engines_are_not(systemd: Booted) -> None:
    (engine,) = engines(systemd)
    before = int(systemd.shows("reconciler", "NRestarts"))
    systemd.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "reconciler")
    until(lambda: int(systemd.shows("reconciler", "NRestarts")) > before, WITHIN)
    until(lambda: systemd.shows("reconciler", "ActiveState") == "active", WITHIN)
    assert engines(systemd) == [engine]
    systemd.run("systemctl", "stop", "reconciler")
    assert engines(systemd) == [engine]
