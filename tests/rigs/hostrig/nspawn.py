"""Hosts that boot a whole Debian: systemd, logind, sshd, sudo, and a card that hears frames."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path

from tests.needs import program
from tests.rigs.hostrig import ethtool
from tests.rigs.hostrig.host import HOST_KEY, SSHD_SETTINGS, Ending, Host, Place
from tests.rigs.hostrig.lan import Lan
from tests.rigs.hostrig.packet import octets, pattern
from tests.rigs.hostrig.programs import ended, new_key, run
from tests.rigs.hostrig.rootfs import USER, USER_ID
from tests.rigs.hostrig.setup import Setup

DISKS = Path("/run/hostrig")

NOTIFY = "etc/hostrig/notify"

UNITS = {
    "hostrig-lan.service": (
        """\
[Unit]
DefaultDependencies=no
After=local-fs.target
Before=network.target ssh.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/ip addr add {ip}/24 dev eth0
ExecStart=/bin/ip link set eth0 address {mac}
[Install]
WantedBy=multi-user.target
"""
    ),
    # Stopped before sshd is: systemd's own word that it stops is the last it says.
    "hostrig-stop.service": (
        """\
[Unit]
After=ssh.service
[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStopSec=infinity
ExecStart=/bin/ip link set eth0 address {mac}
ExecStop=/bin/sh -c 'NOTIFY_SOCKET=/etc/hostrig/notify systemd-notify STOPPING=1'
ExecStop=/bin/sh -c 'while [ -e /etc/hostrig/shutdown_hang ]; do sleep .1; done'
[Install]
WantedBy=multi-user.target
"""
    ),
}

SUDOERS = (
    f"{USER} ALL=(root) NOPASSWD: /usr/bin/systemctl --check-inhibitors\\=no poweroff, "
    "/usr/bin/systemctl --check-inhibitors\\=no suspend, /usr/sbin/ethtool *\n"
)

HANGS = {"": [], "net": ["systemd.mask=ssh.service"], "early": ["systemd.unit=sysinit.target"]}

ENDINGS = {0: Ending.SHUTDOWN, 133: Ending.REBOOT}

ETHERNET, IPV4_UDP = 14, 42
ETHERTYPE_WAKE_ON_LAN = 0x0842
ALL_FRAMES = 3


class NspawnHost(Host):
    """A host in a container, whose card stays at the switch while it is off."""

    def __init__(self, place: Place, lan: Lan, setup: Setup) -> None:
        """Lay its own disk over the shared root file system, and plug its card into the switch."""
        super().__init__(place, DISKS / place.name / "root")
        self._setup, self._groups = setup, lan.group
        self._port, self._card = f"p-{place.name}", f"c-{place.name}"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._pressed: subprocess.Popen[bytes] | None = None
        self._mount_disk()
        self._write_disk()
        self._plug_card()
        self._hear_system()

    def _mount_disk(self) -> None:
        disk = self.root.parent
        for part in ("root", "upper", "scratch"):
            (disk / part).mkdir(parents=True)
        layers = (
            f"lowerdir={self._setup.root_file_system},upperdir={disk}/upper,workdir={disk}/scratch"
        )
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)

    def _write_disk(self) -> None:
        name, key = self.place.name, self.place.key.read_text()
        system = "etc/systemd/system"
        files = {
            "etc/hostname": f"{name}\n",
            "etc/machine-id": f"{uuid.uuid4().hex}\n",
            "etc/hosts": f"127.0.0.1 localhost\n{self.place.ip} {name}\n",
            "root/.ssh/authorized_keys": key,
            f"home/{USER}/.ssh/authorized_keys": key,
            "etc/sudoers.d/hostrig": SUDOERS,
            "etc/ssh/sshd_config.d/hostrig.conf": f"HostKey /{HOST_KEY}\n{SSHD_SETTINGS}",
            "etc/ssh/sshrc": (
                "[ ! -e /etc/hostrig/ssh_slow ] || sleep $(cat /etc/hostrig/ssh_slow)\n"
            ),
            ethtool.SETTING: f"{ethtool.ARMED}\n",
            "usr/sbin/ethtool": ethtool.source(
                f"/{ethtool.SETTING}",
                privileged='[ "$(id -u)" = 0 ]',
                known='[ -e "/sys/class/net/$1" ]',
            ),
            **{
                f"{system}/{unit}": text.format(ip=self.place.ip, mac=self.mac)
                for unit, text in UNITS.items()
            },
        }
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)
        (self.root / "usr/sbin/ethtool").chmod(0o755)
        (self.root / "etc/sudoers.d/hostrig").chmod(0o440)
        # The unprivileged user runs programs that lie somewhere below.
        (self.root / "root").chmod(0o711)
        for path in (f"home/{USER}/.ssh", f"home/{USER}/.ssh/authorized_keys"):
            os.chown(self.root / path, USER_ID, USER_ID)
        wanted = self.root / system / "multi-user.target.wants"
        for unit, folder in {
            **dict.fromkeys(UNITS, f"/{system}"),
            "ssh.service": "/lib/systemd/system",
        }.items():
            wanted.mkdir(parents=True, exist_ok=True)
            (wanted / unit).unlink(missing_ok=True)
            (wanted / unit).symlink_to(f"{folder}/{unit}")
        new_key(self.root / HOST_KEY)

    def _plug_card(self) -> None:
        run(
            "ip",
            "link",
            "add",
            self._port,
            "type",
            "veth",
            "peer",
            "name",
            self._card,
            "address",
            self.mac,
        )
        run("ip", "link", "set", self._port, "master", "lan", "up")
        # On standby power: the link is up, and nobody is behind it.
        run("ip", "link", "set", self._card, "up")
        self._tap = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(ALL_FRAMES)
        )
        self._tap.bind((self._port, 0))
        asyncio.get_running_loop().add_reader(self._tap, self._frame)

    def _frame(self) -> None:
        with suppress(OSError):  # what a read says after the port went down
            frame, (_, _, kind, _, _) = self._tap.recvfrom(2048)
            # What leaves the switch's port is what reaches the card, and no more.
            if kind == socket.PACKET_OUTGOING and (frame[0] & 1 or frame[:6] == octets(self.mac)):
                self._examine(frame)

    def _examine(self, frame: bytes) -> None:
        udp = (
            frame[12:15] == b"\x08\x00\x45"
            and frame[23] == socket.IPPROTO_UDP
            and len(frame) >= IPV4_UDP
        )
        (ethertype,) = struct.unpack("!H", frame[12:14])
        port = struct.unpack("!H", frame[36:38])[0] if udp else 0
        if ethertype == ETHERTYPE_WAKE_ON_LAN or port in (7, 9) or pattern(self.mac) in frame:
            via = (
                f"udp {socket.inet_ntoa(frame[30:34])}:{port}"
                if udp
                else f"ethertype {ethertype:04x}"
            )
            self.receive(frame[IPV4_UDP if udp else ETHERNET :], via, frame[6:12].hex(":"))

    def _hear_system(self) -> None:
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._notices.bind(str(self.root / NOTIFY))
        asyncio.get_running_loop().add_reader(self._notices, self._hear)

    def _hear(self) -> None:
        said = self._notices.recv(4096).decode().split("\n")
        if "READY=1" in said:
            self.booted()
        if "STOPPING=1" in said:
            self.stopping()

    async def live(self) -> Ending:
        name = self.place.name
        run("ip", "netns", "add", name)
        run("ip", "link", "set", self._card, "netns", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "link", "set", self._card, "name", "eth0", "up")
        # When its units set the card's MAC, its address is announced, as hosts do that come up; or
        # neighbours that looked for it in vain would go on saying that it is not there.
        run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.conf.all.arp_notify=1")
        self._nspawn = self._start()
        code = await ended(self._nspawn)
        self._nspawn = None
        (self._group / "cgroup.kill").write_text("1")
        # Out of the dead host's namespace, where it loses its address at once.
        run("ip", "-n", name, "link", "set", "eth0", "down")
        run("ip", "-n", name, "link", "set", "eth0", "name", self._card, "netns", str(os.getpid()))
        run("ip", "link", "set", self._card, "up")
        run("ip", "netns", "del", name)
        return ENDINGS.get(code, Ending.CRASH)

    @property
    def _group(self) -> Path:
        """The control group of this boot; what is started in a killed one may be killed too."""
        return self._groups / f"{self.place.name}-{self.count['boots']}"

    def _command(self) -> list[str]:
        return [
            # Entered before nspawn starts, which mounts the /sys of the network that it finds.
            program("nsenter"), f"--net=/run/netns/{self.place.name}", "--",
            program("systemd-nspawn"), "--quiet", "--boot", "--register=no", "--keep-unit",
            "--notify-ready=yes", "--settings=no", "--link-journal=no", "--resolv-conf=off",
            "--timezone=off", "--console=pipe", "--capability=CAP_NET_ADMIN",
            f"--machine={self.place.name}", f"--directory={self.root}",
            *("--bind-ro={}".format(folder.replace(":", "\\:")) for folder in self._setup.shown),
            *HANGS[self.hang],
        ]  # fmt: skip

    def _start(self) -> subprocess.Popen[bytes]:
        self._group.mkdir()
        joined = self._group / "cgroup.procs"
        told = {"NOTIFY_SOCKET": str(self.root / NOTIFY), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with (self.place.folder / "console.log").open("ab") as log:
            return subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **told},
                # This process has one thread.
                preexec_fn=lambda: joined.write_text("0"),  # noqa: PLW1509
            )

    def drop(self) -> None:
        if self._nspawn:
            # Silence first: a machine without power says no goodbye.
            run("ip", "-n", self.place.name, "link", "set", "eth0", "down")
            (self._group / "cgroup.kill").write_text("1")

    def press(self) -> None:
        # A second one tells nspawn to end at once; of a host that goes down already, nobody heeds
        # the button.
        if self._nspawn and self._pressed is not self._nspawn:
            self._pressed = self._nspawn
            self._nspawn.send_signal(signal.SIGTERM)

    def plug_link(self, link: str) -> None:
        run("ip", "link", "set", self._port, link)
