"""The units that are shipped: well-formed, hardened, and what engines need of them stays open."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.booted import Booted, booted_systemd

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SYSTEM, USER = ROOT / "deploy/reconciler.service", ROOT / "deploy/user/reconciler.service"
UNITS = pytest.mark.parametrize("unit", [SYSTEM, USER], ids=["system", "user"])

MOST_EXPOSED = {SYSTEM: 25, USER: 66}
"""What `systemd-analyze security` may say, in tenths; less is better. Whoever opens more has to say so here."""

WITHIN = 20.0

CONTROLLER = """
import os, signal, sys, time
from reconciler.edge.notify import Supervisor
from reconciler.onhost.serve import answer

host = os.environ["XDG_STATE_HOME"] + "/reconciler-host"
supervisor = Supervisor(os.environ)
if not os.path.exists(host + "/log"):
    mark = {"controller": "c", "model": "m", "digest": "d"}
    argv = [sys.executable, "-I", "/run/project/engine.py"]
    places = {"directory": "", "folders": [], "log": "log"}
    answer({"do": "spawn", "mark": mark, "argv": argv, "env": {}, "scrub": [], **places}, host)
supervisor.status("serves m")
supervisor.ready()
while not os.path.exists("/run/project/hang"):
    supervisor.alive()
    time.sleep(supervisor.watchdog_seconds / 4)
signal.pause()
"""
"""What a controller does that starts one engine and then watches over it, until it hangs."""

ENGINE = """
import ctypes, errno, json, mmap, os, signal, socket

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

print("found", json.dumps({
    "compiles into memory": tried(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)),
    "opens a character device": device("/run/project/gpu"),
    "opens a disk": device("/run/project/disk"),
    "writes beside its log": write("slots"),
    "writes to shared memory": write("/dev/shm/reconciler-test"),
    "writes to /tmp": write("/tmp/kernels"),
    "writes to /etc": write("/etc/reconciler-test"),
    "writes to a home": write(os.path.expanduser("~/reconciler-test")),
    "reads a home": tried(lambda: os.listdir(os.path.expanduser("~"))),
    "makes a namespace": tried(unshare),
    "sends raw frames": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "serves": tried(lambda: socket.create_server(("127.0.0.1", 0))),
    "supervised": sorted(name for name in os.environ if name.startswith(("NOTIFY", "WATCHDOG", "CREDENTIALS"))),
}), flush=True)
os.unlink("/dev/shm/reconciler-test")
signal.pause()
"""

EXPECTED = {
    "compiles into memory": "done",
    "opens a disk": "EPERM",
    "writes beside its log": "done",
    "writes to shared memory": "done",
    "writes to /tmp": "done",
    "writes to /etc": "EROFS",
    "writes to a home": "EROFS",
    "reads a home": "done",
    "makes a namespace": "EPERM",
    "sends raw frames": "EAFNOSUPPORT",
    "serves": "done",
    "supervised": [],
}


def analyze(*words: str, **environment: str) -> None:
    argv = ["systemd-analyze", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert (done.returncode, done.stderr) == (0, ""), (done.stdout, done.stderr)


@UNITS
def test_a_unit_is_understood_word_by_word(unit: Path, tmp_path: Path) -> None:
    program = re.compile(r"(?<=^ExecStart=)\S+", re.MULTILINE)
    there = tmp_path / unit.name  # the program that the unit names is not installed where tests run
    there.write_text(program.sub(shutil.which("true") or "", unit.read_text()))
    analyze(*(["--user"] if unit == USER else []), "verify", "--man=no", str(there), XDG_RUNTIME_DIR=str(tmp_path))


@UNITS
def test_a_unit_is_as_closed_as_it_was(unit: Path) -> None:
    analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED[unit]}", str(unit))


@UNITS
def test_a_unit_leaves_engines_alone(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert {"KillMode=process", "OOMPolicy=continue", "Type=notify", "NotifyAccess=main"} <= set(lines)
    assert {"Restart=on-failure", "RestartPreventExitStatus=5 64"} <= set(lines)
    closed = [
        line for line in lines if line.startswith(("PrivateTmp=", "PrivateDevices=", "MemoryDenyWriteExecute=", "RemoveIPC="))
    ]
    assert closed == []


@pytest.fixture(scope="module")
def systemd() -> Iterator[Booted]:
    """Boot a systemd where the shipped system unit runs a stand-in for `reconciler watch`."""
    with booted_systemd() as booted:
        shutil.copytree(ROOT / "reconciler", booted.path("/run/project/reconciler"))
        booted.write("/run/project/controller.py", CONTROLLER)
        booted.write("/run/project/engine.py", ENGINE)
        booted.run("mknod", "--mode=666", "/run/project/gpu", "c", "10", "229")
        booted.run("mknod", "--mode=666", "/run/project/disk", "b", "7", "0")
        booted.write("/run/systemd/system/network-online.target", "")
        booted.write("/run/systemd/system/reconciler.service", SYSTEM.read_text())
        python = Path(sys.executable).resolve()
        booted.define(
            "reconciler.service.d/here.conf",
            f"[Service]\nUser=root\nGroup=root\nRestartSec=0\nWatchdogSec=2\nSetCredential=bmc:secret\nEnvironment=PYTHONPATH=/run/project\n"
            f"ExecStart=\nExecStart={python} -S /run/project/controller.py\n",
        )
        booted.run("systemctl", "start", "reconciler")
        yield booted


def test_the_account_is_fixed_and_at_home_where_engines_may_write(systemd: Booted) -> None:
    systemd.write("/run/project/machine/etc/sysusers.d/reconciler.conf", (ROOT / "deploy/sysusers.conf").read_text())
    systemd.run("systemd-sysusers", "--root=/run/project/machine")
    accounts = systemd.path("/run/project/machine/etc/passwd").read_text()
    assert re.search(r"^reconciler:x:\d+:\d+:[^:]+:/var/lib/reconciler-host:", accounts, re.MULTILINE)
    groups = systemd.path("/run/project/machine/etc/group").read_text()
    assert re.findall(r"^(\w+):x:\d+:reconciler$", groups, re.MULTILINE) == ["render", "video"]


def engines(systemd: Booted) -> list[str]:
    """Return the pids of all engines that live, as the machine of the unit counts them."""
    listed = systemd.run("ps", "-eo", "pid,args").splitlines()
    return [line.split()[0] for line in listed if line.endswith("/run/project/engine.py")]


def until(true: Any) -> None:
    deadline = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.02)


def test_an_engine_in_the_sandbox_can_do_what_engines_do_and_no_more(systemd: Booted) -> None:
    log = systemd.path("/var/lib/reconciler-host/log")
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    found = json.loads(log.read_text().removeprefix("found "))
    # A driver that is not there, or another program that holds the device, is no refusal.
    assert found.pop("opens a character device") not in {"EPERM", "EACCES"}
    assert found == EXPECTED
    assert not (Path.home() / "reconciler-test").exists()


def test_engines_outlive_a_restart_and_the_death_of_their_controller(systemd: Booted) -> None:
    (engine,) = engines(systemd)
    assert systemd.shows("reconciler", "StatusText") == "serves m"
    systemd.run("systemctl", "restart", "reconciler")
    assert engines(systemd) == [engine]
    before = systemd.shows("reconciler", "MainPID")
    systemd.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "reconciler")
    until(lambda: systemd.shows("reconciler", "MainPID") not in {"0", before})
    assert engines(systemd) == [engine]


def test_a_controller_that_hangs_is_replaced_and_engines_are_not(systemd: Booted) -> None:
    (engine,) = engines(systemd)
    before = int(systemd.shows("reconciler", "NRestarts"))
    systemd.write("/run/project/hang", "")
    until(lambda: int(systemd.shows("reconciler", "NRestarts")) > before)
    systemd.path("/run/project/hang").unlink()
    until(lambda: systemd.shows("reconciler", "ActiveState") == "active")
    assert engines(systemd) == [engine]
    systemd.run("systemctl", "stop", "reconciler")
    assert engines(systemd) == [engine]
