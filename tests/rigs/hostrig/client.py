"""Hosts for tests that are really off, boot on a magic packet, and really power off.

In nspawn mode, as root, each is a Debian with systemd at a network of its own; in light mode,
without privileges, each is an sshd on a loopback address. What differs: light hosts share this
machine's files, its network and its boot id, have one user, who counts as root, and no systemd;
processes that lose their power there still close their connections.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import select
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.needs import FOLDERS, Wanting, need, need_root
from tests.rigs.hostrig import light, rootfs
from tests.rigs.hostrig.lan import CONTROLLER
from tests.rigs.hostrig.packet import pattern
from tests.rigs.hostrig.programs import RigError
from tests.rigs.hostrig.setup import Setup

Mode = Literal["nspawn", "light"]

START_SECONDS, STOP_SECONDS = 30.0, 30.0

MODES: tuple[Mode, ...] = ("light", "nspawn")
LIGHT_PROGRAMS = ("sshd", "ssh", "ssh-keygen")
NSPAWN_PROGRAMS = (
    "systemd-nspawn",
    "mmdebstrap",
    "unshare",
    "nsenter",
    "ip",
    "mount",
    "umount",
    "sysctl",
    "ssh-keygen",
)

NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")

PROBE = ("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup")

SEND = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[1], int(sys.argv[2])))
"""


class Address(NamedTuple):
    """Where a host is, and what wakes it."""

    mac: str
    ip: str
    ssh_port: int
    wol_broadcast: str
    wol_port: int


@cache
def nspawn_lacks() -> tuple[str, ...]:
    """Return why hosts cannot be whole systems here; nothing when they can."""
    if os.geteuid() != 0:
        return ("this is not root",)
    missing = [
        f"{name} is not there" for name in NSPAWN_PROGRAMS if not shutil.which(name, path=FOLDERS)
    ]
    if missing:
        return tuple(missing)
    if subprocess.run([*NAMESPACES, *PROBE], capture_output=True, check=False).returncode:
        return ("this root may not make namespaces with control groups",)
    return () if rootfs.fitting() else ("this Python runs on no Debian that hosts can be",)


def modes() -> list[Mode]:
    """Return those of the modes in which a rig runs on this machine."""
    return ["light"] if nspawn_lacks() else ["light", "nspawn"]


class Rig:
    """A rig that runs."""

    def __init__(self, folder: Path, mode: Mode, why: str, token: str) -> None:
        """Reach the daemon that serves in this folder, and write how ssh reaches its hosts."""
        self.folder, self.mode, self.why, self.token = folder, mode, why, token
        self.ssh_config = folder / "ssh_config"
        self.prefix = self._prefix() if mode == "nspawn" else []
        self._write_ssh_config()

    def ask(self, verb: str, host: str = "", *rest: object) -> dict[str, Any]:
        """Send the daemon one request, and return how the host, or the rig, is after it."""
        with _connected(self.folder) as connection:
            connection.sendall(json.dumps([verb, host, *rest]).encode() + b"\n")
            said = connection.makefile().readline()
        answer: dict[str, Any] = json.loads(
            said or '{"error": "the rig is dead; see its daemon.log"}'
        )
        if "error" in answer:
            raise RigError(answer["error"])
        return answer

    def state(self, host: str) -> str:
        """Return off, booting, on or stopping."""
        return str(self.ask("status", host)["state"])

    def wait(self, host: str, state: str, seconds: float = 30) -> None:
        """Wait until the host is in the state."""
        self.ask("wait", host, state, seconds)

    def wait_count(self, host: str, counter: str, number: int, seconds: float = 10) -> None:
        """Wait until the counter is at least so high."""
        self.ask("wait_count", host, counter, number, seconds)

    def count(self, host: str) -> dict[str, int]:
        """Return what was counted so far."""
        return dict(self.ask("status", host)["count"])

    def fault(self, host: str, **faults: float | str) -> None:
        """Have these faults from now on, with the others as they are; zero or nothing ends one."""
        self.ask("fault", host, faults)

    def heal(self, host: str) -> None:
        """End every fault, and connect the network."""
        for name, value in self.ask("status", host)["faults"].items():
            if value:
                self.fault(host, **{name: type(value)()})
        self.link(host, "up")

    def cut(self, host: str) -> None:
        """Pull the power."""
        self.ask("cut", host)

    def on(self, host: str) -> None:
        """Press the power button of a host that is off."""
        self.ask("on", host)

    def button(self, host: str) -> None:
        """Press the power button of a host that runs, which asks its system for a shutdown."""
        self.ask("button", host)

    def link(self, host: str, link: Literal["up", "down"]) -> None:
        """Connect or disconnect the network."""
        self.ask("link", host, link)

    def rekey(self, host: str) -> None:
        """Replace the host's key while it is off; `ssh_config` goes on trusting the former one."""
        self.ask("rekey", host)

    def root(self, host: str) -> Path:
        """Return the host's file system as this process sees it."""
        seen = Path(self.ask("status", host)["root"])
        return seen if self.mode == "light" else self._inside(seen)

    def home(self, host: str) -> Path:
        """Return the home of who logs in, as commands on the host see it."""
        return Path(self.ask("status", host)["home"])

    def host(self, name: str) -> Address:
        """Return where a host is, and what wakes it."""
        seen = self.ask("status")
        host = seen["hosts"][name]
        return Address(
            host["mac"], host["ip"], host["ssh_port"], seen["wol_broadcast"], seen["wol_port"]
        )

    def send(self, host: str, payload: bytes | None = None) -> None:
        """Broadcast a packet from the controller, by default the magic packet of this host."""
        at = self.host(host)
        packet = pattern(at.mac) if payload is None else payload
        words = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            SEND,
            at.wol_broadcast,
            str(at.wol_port),
            packet.hex(),
        ]
        subprocess.run([*self.prefix, *words], check=True)

    def ssh(
        self, host: str, command: str, connect_seconds: int = 10
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the host, from where the controller is, with its key checked."""
        options = [
            "-F",
            str(self.ssh_config),
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
        ]
        words = [
            *self.prefix,
            "ssh",
            *options,
            "-o",
            f"ConnectTimeout={connect_seconds}",
            host,
            command,
        ]
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def beside(self, host: str) -> list[str]:
        """The words that run a program of this machine on a host's network, without a login."""
        return (
            []
            if self.mode == "light"
            else ["nsenter", f"--net={self._inside(Path('/run/netns', host))}", "--"]
        )

    def _inside(self, path: Path) -> Path:
        """Return how this process sees what is mounted for the daemon alone."""
        with _connected(self.folder) as connection:
            pid, _, _ = struct.unpack(
                "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            )
        return Path("/proc", str(pid), "root", *path.parts[1:])

    def _prefix(self) -> list[str]:
        return ["nsenter", f"--net={self._inside(Path('/run/netns', CONTROLLER))}", "--"]

    def _write_ssh_config(self) -> None:
        seen = self.ask("status")
        known, user = (
            self.folder / "known_hosts",
            ("root" if self.mode == "nspawn" else getpass.getuser()),
        )
        blocks, keys = [], []
        for name, host in seen["hosts"].items():
            logins = {name: user} | (
                {f"{name}-{rootfs.USER}": rootfs.USER} if self.mode == "nspawn" else {}
            )
            for alias, login in logins.items():
                blocks.append(
                    f"Host {alias}\n  HostName {host['ip']}\n  Port {host['ssh_port']}\n  User"
                    f" {login}\n  IdentityFile {self.folder}/id\n  IdentitiesOnly yes\n "
                    f" UserKnownHostsFile {known}\n"
                )
            where = host["ip"] if host["ssh_port"] == 22 else f"[{host['ip']}]:{host['ssh_port']}"
            keys.append(f"{where} {' '.join(seen['keys'][name].split()[:2])}\n")
        self.ssh_config.write_text("".join(blocks))
        known.write_text("".join(keys))


@contextmanager
def _connected(folder: Path) -> Iterator[socket.socket]:
    """Connect by a short path: a unix socket's address has 107 bytes at most."""
    opened = os.open(folder, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"/proc/self/fd/{opened}/control")
            yield connection
    finally:
        os.close(opened)


@contextmanager
def plugged(
    folder: Path,
    names: Sequence[str] = ("gpu1",),
    mode: Literal["auto", "nspawn", "light"] = "auto",
) -> Iterator[Rig]:
    """Plug hosts in, all off; pull everything out again in the end.

    Raises Wanting where this machine lacks what the mode needs.
    """
    folder = folder.absolute()
    chosen, why, system = _chosen(mode)
    token = f"hostrig-{secrets.token_hex(4)}"
    setup = Setup(str(folder), chosen, list(names), token, str(system or ""), _shown())
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "daemon.log").open("wb") as log:
        entered = NAMESPACES if chosen == "nspawn" else ()
        daemon = subprocess.Popen(
            [*entered, sys.executable, "-m", "tests.rigs.hostrig", json.dumps(asdict(setup))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=rootfs.CHECKOUT,
            start_new_session=True,
        )
    try:
        _await_ready(daemon, folder / "daemon.log")
        yield Rig(folder, chosen, why, token)
    finally:
        _end(daemon, folder, token)


def _chosen(mode: str) -> tuple[Mode, str, Path | None]:
    need_mode(mode)
    if mode == "light":
        return "light", "it was asked for", None
    lacks = nspawn_lacks()
    if lacks:
        return "light", ", ".join(lacks), None
    try:
        return "nspawn", "", rootfs.built()
    except RigError as error:
        if mode == "nspawn":
            raise
        return "light", str(error), None


def need_mode(mode: str) -> None:
    """Leave the test out where this machine lacks what a mode needs."""
    if mode != "nspawn":
        need(*LIGHT_PROGRAMS)
        return
    need_root()
    need(*NSPAWN_PROGRAMS)
    if nspawn_lacks():
        raise Wanting("whole systems as hosts", ", ".join(nspawn_lacks()))


def _shown() -> list[str]:
    """The folders from which hosts run this checkout's engines; no host can do without its /usr."""
    environment = Path(sys.prefix)
    # One that is a link is named as it is written, and found where that leads.
    wanted = {rootfs.CHECKOUT, environment, environment.resolve(), Path(sys.base_prefix)}
    wanted -= {Path("/usr")}
    return sorted(str(folder) for folder in wanted if not wanted & set(folder.parents))


def _await_ready(daemon: subprocess.Popen[bytes], log: Path) -> None:
    assert daemon.stdout is not None
    ready, _, _ = select.select([daemon.stdout], [], [], START_SECONDS)
    if not ready or daemon.stdout.readline() != b"ready\n":
        raise RigError(f"the rig did not start: {log.read_text().strip()}")


def _end(daemon: subprocess.Popen[bytes], folder: Path, token: str) -> None:
    assert daemon.stdin is not None
    assert daemon.stdout is not None
    daemon.stdin.close()
    daemon.stdout.close()
    try:
        daemon.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
        raise RigError(
            f"the rig did not end: {(folder / 'daemon.log').read_text().strip()}"
        ) from None
    finally:
        light.sweep(folder)
        _remove_groups(token)
    if daemon.returncode:
        raise RigError(f"the rig failed: {(folder / 'daemon.log').read_text().strip()}")


def _remove_groups(token: str) -> None:
    for group in groups(token):
        (group / "cgroup.kill").write_text("1")
        for inner, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(inner).rmdir()


def groups(token: str) -> list[Path]:
    """Return the rig's control groups, of which none is left after its end."""
    return [
        root / token
        for root in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
        if (root / token).exists()
    ]
