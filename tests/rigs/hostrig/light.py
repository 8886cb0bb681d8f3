"""Hosts without any privileges: each is an sshd of its own on a loopback address.

Its power is simulated by the end of every process of it; no systemd runs, one user logs in, who
counts as its root. Commands on it see this machine's files, and programs of its own for all that
has to do with power.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.needs import FOLDERS, program
from tests.rigs.hostrig import ethtool, stubs
from tests.rigs.hostrig.host import HOST_KEY, SSHD_SETTINGS, Ending, Host, Place
from tests.rigs.hostrig.members import members
from tests.rigs.hostrig.programs import RigError, ended, gone, new_key

MARKER = "HOSTRIG_HOST"
SSH_PORT = 2222
BROADCAST = "127.255.255.255"

GRACE_SECONDS = 2.0
"""How long processes have to end by themselves when the host shuts down, which takes systemd 90
seconds by default."""

ANSWER_SECONDS = 0.2
"""How long connections have to close after that, so that the command which asked for the shutdown
can be answered."""

SETTINGS = """\
ListenAddress {ip}
Port {port}
HostKey {root}/{key}
AuthorizedKeysFile {authorized}
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
ForceCommand {programs}/login
SetEnv PATH={programs}:{folders} HOME={home} {marker}={mark}
{more}"""


class Network:
    """A /24 of the loopback and a UDP port that no other rig has while the daemon runs."""

    wol_broadcast = BROADCAST

    def __init__(self) -> None:
        """Take the first network whose gateway's ssh port nobody has."""
        self._claim = socket.socket()
        for number in range(os.getpid(), os.getpid() + 254):
            self.prefix = f"127.77.{number % 254 + 1}"
            with suppress(OSError):
                self._claim.bind((f"{self.prefix}.1", SSH_PORT))
                break
        else:
            raise RigError("every network of the loopback is taken")
        self._broadcast = _udp(BROADCAST, 0)
        self.wol_port: int = self._broadcast.getsockname()[1]

    def listen(self, hosts: Iterable[Host]) -> None:
        """Hand every datagram to the cards that it reaches."""
        loop, everyone = asyncio.get_running_loop(), tuple(hosts)
        loop.add_reader(self._broadcast, self._deliver, self._broadcast, everyone)
        for host in everyone:
            own = _udp(host.place.ip, self.wol_port)
            loop.add_reader(own, self._deliver, own, (host,))

    def _deliver(self, listener: socket.socket, hosts: tuple[Host, ...]) -> None:
        payload, (source, _) = listener.recvfrom(2048)
        for host in hosts:
            if host.link == "up":
                host.receive(payload, f"udp {listener.getsockname()[0]}:{self.wol_port}", source)


def _udp(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.bind((address, port))
    return made


class Silence:
    """A silent port of a host that is off, where a refusal would show that a machine runs."""

    def __init__(self, ip: str, port: int) -> None:
        """Listen with a full queue: the kernel drops what does not fit."""
        self._listener, self._filler = socket.socket(), socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((ip, port))
        self._listener.listen(0)
        self._filler.connect((ip, port))

    def end(self) -> None:
        """Leave the port to whoever wants it."""
        self._filler.close()
        self._listener.close()


class LightHost(Host):
    """A host whose processes are those that descend from its sshd, or that carry its mark."""

    def __init__(self, place: Place) -> None:
        """Write its disk, and hear what its own power commands ask for."""
        super().__init__(place, place.folder / "root")
        self.mark = f"{place.folder.parent}:{place.name}"
        self._asked: Ending | None = None
        self._sshd: subprocess.Popen[bytes] | None = None
        self._write_disk()
        self._requests = os.open(self.root / stubs.REQUESTS, os.O_RDWR | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._requests, self._hear)
        self._silence = Silence(place.ip, place.ssh_port)

    def _write_disk(self) -> None:
        programs = self.root / stubs.FOLDER
        for folder in (
            programs,
            self.root / "etc/hostrig",
            self.root / "etc/ssh",
            self.root / "root",
        ):
            folder.mkdir(parents=True)
        os.mkfifo(self.root / stubs.REQUESTS)
        (self.root / ethtool.SETTING).write_text(f"{ethtool.ARMED}\n")
        for name, text in stubs.programs(self.root).items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        new_key(self.root / HOST_KEY)
        settings = SETTINGS.format(
            ip=self.place.ip, port=self.place.ssh_port, root=self.root, home=self.home(),
            key=HOST_KEY, authorized=self.place.key, programs=programs, folders=FOLDERS,
            marker=MARKER, mark=self.mark, more=SSHD_SETTINGS,
        )  # fmt: skip
        (self.place.folder / "sshd_config").write_text(settings)

    def home(self) -> str:
        return str(self.root / "root")

    async def live(self) -> Ending:
        self._asked = None
        if not self.hang:
            self._start()
        await self.bell.until(lambda: self.pulled or self._asked is not None or self._died())
        asked = self._request()
        if asked and not self.pulled:
            self.stopping()
            await self._shut_down()
        await self._bury()
        return asked or Ending.CRASH

    def _start(self) -> None:
        self._silence.end()
        if os.getuid() == 0:
            # Where sshd's part without privileges lives; a machine that booted without its service
            # has none.
            Path("/run/sshd").mkdir(exist_ok=True)
        with (self.place.folder / "console.log").open("ab") as log:
            command = [program("sshd"), "-D", "-e", "-f", str(self.place.folder / "sshd_config")]
            self._sshd = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        assert self._sshd.stderr is not None
        os.set_blocking(self._sshd.stderr.fileno(), False)
        asyncio.get_running_loop().add_reader(self._sshd.stderr, self._read_log, self._sshd)

    def _read_log(self, sshd: subprocess.Popen[bytes]) -> None:
        assert sshd.stderr is not None
        said = sshd.stderr.read()
        with (self.place.folder / "console.log").open("ab") as log:
            log.write(said or b"")
        if not said:
            asyncio.get_running_loop().remove_reader(sshd.stderr)
            sshd.stderr.close()
        elif b"Server listening" in said:
            self.booted()
            self.plug_link(self.link)
        self.bell.ring()

    def _request(self) -> Ending | None:
        return self._asked

    def _died(self) -> bool:
        return self._sshd is not None and self._sshd.poll() is not None

    def _hear(self) -> None:
        words = os.read(self._requests, 4096).decode().split()
        if self.state in ("booting", "on"):
            self._asked = Ending.REBOOT if "reboot" in words else Ending.SHUTDOWN
            self.bell.ring()

    async def _shut_down(self) -> None:
        """Let go by themselves the engines first, then the sessions; what is left is buried."""
        await self.bell.until(lambda: self.pulled or not self.faults.shutdown_hang)
        if self.pulled:
            return
        marked = members(self._marked)
        _signal(marked, signal.SIGTERM, signal.SIGCONT)
        await _in_time(marked, GRACE_SECONDS)
        if self._sshd:
            await _in_time(self._members() - {self._sshd.pid}, ANSWER_SECONDS)

    @property
    def _marked(self) -> bytes:
        return f"{MARKER}={self.mark}".encode()

    def _members(self) -> set[int]:
        return members(self._marked, self._sshd.pid if self._sshd else None)

    def _freeze(self) -> set[int]:
        """Stop every process, so that none can start another unseen, and return them."""
        frozen: set[int] = set()
        while fresh := self._members() - frozen:
            _signal(fresh, signal.SIGSTOP)
            frozen |= fresh
        return frozen

    async def _bury(self) -> None:
        while found := self._freeze():
            _signal(found, signal.SIGKILL)
            await gone(found)
        if self._sshd:
            await ended(self._sshd)
            self._sshd = None
            self._silence = Silence(self.place.ip, self.place.ssh_port)

    def drop(self) -> None:
        _signal(self._freeze(), signal.SIGKILL)

    def press(self) -> None:
        if self.state in ("booting", "on"):
            self._asked = Ending.SHUTDOWN
            self.bell.ring()

    def plug_link(self, link: str) -> None:
        if link == "down":
            self._freeze()
        else:
            _signal(self._members(), signal.SIGCONT)


def _signal(pids: Iterable[int], *signals: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            for one in signals:
                os.kill(pid, one)


async def _in_time(pids: Iterable[int], seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(gone(pids), seconds)


def sweep(folder: Path) -> None:
    """End whatever still has the mark of a host of this folder, should its daemon be killed."""
    for pid in members(f"{MARKER}={folder}:".encode()):
        _signal([pid], signal.SIGKILL)
