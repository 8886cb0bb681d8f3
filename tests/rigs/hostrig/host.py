"""A host: its power, its network card, what is made to go wrong with it, and what is counted."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from tests.rigs.hostrig.bell import Bell
from tests.rigs.hostrig.ethtool import ARMED, DISARMED, SETTING
from tests.rigs.hostrig.packet import Verdict, wrong
from tests.rigs.hostrig.programs import RigError, new_key

State = Literal["off", "booting", "on", "stopping"]


class Ending(StrEnum):
    """How a run of a host's system ended."""

    SHUTDOWN = "clean shutdown"
    CUT = "power cut"
    REBOOT = "reboot"
    CRASH = "crash"


COUNTED = {
    Ending.SHUTDOWN: "clean_shutdowns",
    Ending.CUT: "power_cuts",
    Ending.CRASH: "crashes",
    Ending.REBOOT: "reboots",
}

COUNTERS = (
    "boots", *COUNTED.values(), "wol_seen", "wol_accepted", "wol_other_mac", "wol_malformed",
    "wol_bad_password", "wol_ignored_by_fault", "wol_while_not_off",
)  # fmt: skip

HOST_KEY = "etc/ssh/ssh_host_ed25519_key"

# Without the key exchange that takes longer than all else of a login.
SSHD_SETTINGS = "UseDNS no\nMaxStartups 100\nKexAlgorithms -sntrup761*\n"


@dataclass(frozen=True)
class Faults:
    """Faults on purpose; each lasts until it is changed, and zero or empty is none."""

    ignore_packets: int = 0
    """How many good packets the card still misses."""
    post_delay: float = 0.0
    """Seconds that the firmware takes before the system boots."""
    wol_disarmed: int = 0
    """The card's Wake-on setting is d; the setting is on the host's disk, where its own ethtool
    changes it too."""
    secureon: str = ""
    """The SecureOn password that has to follow the pattern, in the notation of a MAC."""
    boot_hang: str = ""
    """`net`: the boot ends without ssh; `early`: it stops before anything can answer."""
    shutdown_hang: int = 0
    """The shutdown begins and does not end."""
    ssh_slow: float = 0.0
    """Seconds between a login and its first command."""
    flap: str = ""
    """`DOWN,UP`: seconds for which the link is down and up by turns."""

    def changed(self, changes: dict[str, Any]) -> Faults:
        """Return these with some changed; refuse a name or a value that makes no fault."""
        kinds = {name: type(value) for name, value in asdict(Faults()).items()}
        if unknown := changes.keys() - kinds.keys():
            raise RigError(f"no such fault: {', '.join(sorted(unknown))}")
        made = replace(self, **{name: kinds[name](value) for name, value in changes.items()})
        if made.boot_hang not in {"", "net", "early"}:
            raise RigError(f"boot_hang is net or early, not {made.boot_hang}")
        return made


@dataclass(frozen=True)
class Place:
    """Where a host is plugged in: its folder, its address, and whom it tells what happens to it."""

    name: str
    number: int
    folder: Path
    ip: str
    ssh_port: int
    bell: Bell
    note: Callable[..., None]

    @property
    def key(self) -> Path:
        """Return the public key that every host of the rig lets in."""
        return self.folder.parent / "id.pub"


class Host(ABC):
    """A host with its mains plugged in."""

    def __init__(self, place: Place, root: Path) -> None:
        """Plug it in: off, armed, with a disk that holds nothing but what its system brings."""
        self.place, self.root, self.bell = place, root, place.bell
        self.mac = f"52:54:00:77:00:{place.number:02x}"
        self.state: State = "off"
        self.link = "up"
        self.faults = Faults()
        self.count = Counter(dict.fromkeys(COUNTERS, 0))
        self.broken = ""
        self.last_packet: dict[str, object] | None = None
        self.pulled = False
        self.hang = ""
        self.running: asyncio.Task[None] | None = None
        self._flapping: asyncio.Task[None] | None = None

    @abstractmethod
    async def live(self) -> Ending:
        """Boot, and return how it ended when nothing of the system runs any more."""

    @abstractmethod
    def drop(self) -> None:
        """End whatever runs at once and silently; `live` then returns."""

    @abstractmethod
    def press(self) -> None:
        """Ask the running system for an orderly shutdown, as ACPI does."""

    @abstractmethod
    def plug_link(self, link: str) -> None:
        """Connect or disconnect the network while the host goes on."""

    def home(self) -> str:
        """Return the home of who logs in over ssh, as commands on the host see it."""
        return str(Path("/", "root"))

    # The card.

    def receive(self, payload: bytes, via: str, source: str) -> None:
        """Take one frame, or datagram, that reached the card and may be a magic packet."""
        verdict = self._verdict(payload)
        self.last_packet = {"via": via, "from": source, "bytes": len(payload)}
        self.count["wol_seen"] += 1
        self.count[verdict] += 1
        self.place.note("packet", verdict=verdict, **self.last_packet)
        if verdict == "wol_accepted":
            self.power_on("magic packet")

    def _verdict(self, payload: bytes) -> Verdict:
        if found := wrong(payload, self.mac, self.faults.secureon):
            return found
        if self.state != "off":
            return "wol_while_not_off"
        if not self.armed:
            return "wol_ignored_by_fault"
        if self.faults.ignore_packets > 0:
            self.faults = replace(self.faults, ignore_packets=self.faults.ignore_packets - 1)
            return "wol_ignored_by_fault"
        return "wol_accepted"

    @property
    def armed(self) -> bool:
        """Return whether the card listens while the host is off."""
        return (self.root / SETTING).read_text().strip() == ARMED

    # The power.

    def power_on(self, cause: str) -> None:
        """Boot, unless it is not off."""
        if self.state == "off":
            self.pulled = False
            self.enter("booting", cause)
            self.running = asyncio.create_task(self._run())

    def cut(self) -> None:
        """Pull the power."""
        if self.state != "off":
            self.pulled = True
            self.drop()
            self.bell.ring()

    async def _run(self) -> None:
        try:
            ending = await self._until_off()
        except (RigError, OSError) as error:
            self.broken = f"{type(error).__name__}: {error}"
            self.enter("off", self.broken)
        else:
            self.count[COUNTED[ending]] += 1
            self.enter("off", ending)

    async def _until_off(self) -> Ending:
        await self.bell.until(lambda: self.pulled, within=self.faults.post_delay)
        while not self.pulled:
            self.count["boots"] += 1
            self.hang = self.faults.boot_hang
            ending = await self.live()
            if ending is not Ending.REBOOT and not self.pulled:
                return ending
            if not self.pulled:
                self.count[COUNTED[ending]] += 1
                self.enter("booting", ending)
        return Ending.CUT

    def enter(self, state: State, cause: str) -> None:
        """Be in another state from now on."""
        self.state = state
        self.place.note("state", state=state, cause=cause)

    def booted(self) -> None:
        """Take note that the system is up."""
        if self.state == "booting" and not self.hang:
            self.enter("on", "booted")

    def stopping(self) -> None:
        """Take note that the system goes down."""
        if self.state in ("booting", "on"):
            self.enter("stopping", "shutdown began")

    # What goes wrong.

    def fault(self, changes: dict[str, Any]) -> None:
        """Have these faults from now on, with the others as they are."""
        self.faults = self.faults.changed(changes)
        if "wol_disarmed" in changes:
            (self.root / SETTING).write_text(f"{DISARMED if self.faults.wol_disarmed else ARMED}\n")
        for name in ("shutdown_hang", "ssh_slow"):
            value, path = getattr(self.faults, name), self.root / "etc/hostrig" / name
            if value:
                path.write_text(f"{value}\n")
            else:
                path.unlink(missing_ok=True)
        if "flap" in changes:
            self._flap(self.faults.flap)
        self.bell.ring()

    def _flap(self, flap: str) -> None:
        if self._flapping:
            self._flapping.cancel()
            self._flapping = None
            self.set_link("up")
        if flap:
            down, up = map(float, flap.split(","))
            self._flapping = asyncio.create_task(self._by_turns(down, up))

    async def _by_turns(self, down: float, up: float) -> None:
        while True:
            self.set_link("down")
            await asyncio.sleep(down)
            self.set_link("up")
            await asyncio.sleep(up)

    def set_link(self, link: str) -> None:
        """Connect or disconnect the network."""
        if link not in {"up", "down"}:
            raise RigError(f"a link is up or down, not {link}")
        self.link = link
        self.plug_link(link)
        self.place.note("link", link=link)

    def rekey(self) -> None:
        """Replace the key by which the host proves who it is, as a new installation does."""
        if self.state != "off":
            raise RigError(
                f"{self.place.name} is {self.state}; its key is replaced while it is off"
            )
        new_key(self.root / HOST_KEY)

    def unplug(self) -> None:
        """Leave nothing running, for good."""
        if self._flapping:
            self._flapping.cancel()
        self.cut()

    def view(self) -> dict[str, Any]:
        """Return all that is to be seen of it from outside."""
        return {
            "state": self.state, "link": self.link, "mac": self.mac, "ip": self.place.ip,
            "ssh_port": self.place.ssh_port, "root": str(self.root), "home": self.home(),
            "broken": self.broken, "last_packet": self.last_packet, "count": dict(self.count),
            "faults": {**asdict(self.faults), "wol_disarmed": int(not self.armed)},
        }  # fmt: skip
