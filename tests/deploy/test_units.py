"""The units that are shipped: well-formed, hardened, and what engines need of them stays open."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import unhealthy_engine
from tests.booted import Booted, booted_systemd
from tests.engine import free_port, weights_in
from tests.needs import need
from tests.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SYSTEM, USER = ROOT / "deploy/reconciler.service", ROOT / "deploy/user/reconciler.service"
UNITS = pytest.mark.parametrize("unit", [SYSTEM, USER], ids=["system", "user"])

MOST_EXPOSED = {SYSTEM: 25, USER: 66}
"""What `systemd-analyze security` may say, in tenths; less is better. Whoever opens more has to say
so here."""

WITHIN = 30.0

PYTHON = Path(sys.executable).resolve()

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

INVENTORY = """version: 1
hosts: {local: {gpu: none, engines: {llamacpp: {binary: /run/project/llama-server}}}}
models: {m: {engine: {kind: llamacpp, weights: WEIGHTS}, port: PORT, stable_for: 200ms}}
"""

HERE = """[Service]
WatchdogSec=4
TimeoutAbortSec=1
RestartSec=0
SetCredential=bmc:secret
Environment=RECONCILER_STATE=/run/project/state
Environment=PYTHONPATH=/run/project:/run/project/packages LD_LIBRARY_PATH=/run/project/python/lib
ExecStart=
ExecStart=/run/project/python/bin/INTERPRETER -m reconciler watch
"""
"""What is otherwise where tests run: the program and both files lie elsewhere, and a hang is
noticed sooner."""


def analyze(*words: str, **environment: str) -> None:
    need("systemd-analyze")
    argv = ["systemd-analyze", *words]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert (done.returncode, done.stderr) == (0, ""), (done.stdout, done.stderr)


@UNITS
def test_a_unit_is_understood_word_by_word(unit: Path, tmp_path: Path) -> None:
    program = re.compile(r"(?<=^ExecStart=)\S+", re.MULTILINE)
    there = tmp_path / unit.name  # the program that the unit names is not installed where tests run
    there.write_text(program.sub(shutil.which("true") or "", unit.read_text()))
    analyze(
        *(["--user"] if unit == USER else []),
        "verify",
        "--man=no",
        str(there),
        XDG_RUNTIME_DIR=str(tmp_path),
    )


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


@pytest.fixture(scope="module")
def systemd() -> Iterator[Booted]:
    """Boot a systemd in which the shipped unit runs `reconciler watch` as the account it names."""
    with booted_systemd() as booted:
        account(booted)
        program(booted)
        booted.run("mknod", "--mode=666", "/run/project/gpu", "c", "10", "229")
        booted.run("mknod", "--mode=666", "/run/project/disk", "b", "7", "0")
        booted.write("/run/systemd/system/network-online.target", "")
        booted.write("/run/systemd/system/reconciler.service", SYSTEM.read_text())
        booted.define("reconciler.service.d/here.conf", HERE.replace("INTERPRETER", PYTHON.name))
        booted.run("systemctl", "start", "reconciler")
        until(lambda: booted.shows("reconciler", "StatusText") == "local: applied", WITHIN)
        yield booted


def account(booted: Booted) -> None:
    """Make the shipped account as its own systemd would; this machine knows it there alone."""
    booted.write(
        "/run/machine/etc/sysusers.d/reconciler.conf", (ROOT / "deploy/sysusers.conf").read_text()
    )
    for name in ("passwd", "group"):
        shutil.copyfile(f"/etc/{name}", booted.path(f"/run/machine/etc/{name}"))
    booted.run("systemd-sysusers", "--root=/run/machine")
    for name in ("passwd", "group"):
        booted.run("mount", "--bind", f"/run/machine/etc/{name}", f"/etc/{name}")


def program(booted: Booted) -> None:
    """Put the program, its Python, an engine and both files where every account may read them."""
    shutil.copytree(ROOT / "reconciler", booted.path("/run/project/reconciler"))
    booted.write("/run/project/unhealthy_engine.py", Path(unhealthy_engine.__file__).read_text())
    booted.write("/run/project/llama-server", f"#!/run/project/python/bin/{PYTHON.name}\n{ENGINE}")
    weights = weights_in(booted.path("/run/project"))
    inventory = INVENTORY.replace("WEIGHTS", f"/run/project/{weights.name}").replace(
        "PORT", str(free_port())
    )
    booted.write("/run/project/state/inventory.yaml", inventory)
    booted.write("/run/project/state/desired.yaml", "version: 1\nactive: m\n")
    booted.run("chmod", "-R", "a+rX", "/run/project")
    booted.run("chmod", "a+x", "/run/project/llama-server")
    for name, place in (("python", sys.base_prefix), ("packages", sysconfig.get_path("purelib"))):
        booted.run("mkdir", f"/run/project/{name}")
        booted.run("mount", "--bind", place, f"/run/project/{name}")


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
