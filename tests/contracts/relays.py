"""Benches of what powers a host from outside: BMCs, the API of a cluster, smart plugs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from reconciler.drivers.power import plug, proxmox
from reconciler.drivers.power.host_power.deps import Reach
from reconciler.drivers.power.host_power.refusals import Refusals
from reconciler.edge.clock import SystemClock
from reconciler.edge.proxmox_api import Patience
from reconciler.errors import DriverError
from tests.contracts.hosts import here
from tests.contracts.power import HOST, NOTHING, REFERENCE, Bench
from tests.rigs import ipmi, plug_server, plugs, redfish
from tests.rigs import proxmox as pve
from tests.rigs import proxmox_server as pve_server

CIPHER = 3
"""The best that ipmi_sim knows; it does not say so, and ipmitool waits a second for that."""

UP_WATTS, DOWN_WATTS = 85.0, 2.0


def bmc_that_says(folder: Path, text: str, patch: pytest.MonkeyPatch) -> None:
    """Put a program in place of ipmitool, which says what the simulated BMC cannot have it say."""
    (folder / "ipmitool").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "ipmitool").chmod(0o755)
    patch.setenv("PATH", str(folder))


class Ipmi(Bench):
    """A BMC that is not ours, asked by the real ipmitool."""

    kind = "ipmi"
    secret = "correct-horse"  # noqa: S105  the BMC is a test's own
    stranger = r"lets operator not in \(RAKP 2 .*`password:` \(from_env POWER_SECRET\)"
    absent = (
        "opened no session .* nothing answers there, as when IPMI over LAN is off, or the user"
        " operator, its password"
    )
    faults = (
        "echo Chassis Power is pending",
        "exit 0",
        "echo 'Error: Unable to establish IPMI session' >&2; exit 1",
    )

    @contextmanager
    def stand(self, folder: Path) -> Iterator[None]:
        with ipmi.simulated(folder, self.secret, self.rig, HOST) as port:
            self.at(port)
            yield

    def at(self, port: int) -> None:
        self.written = {
            "address": "127.0.0.1",
            "port": port,
            "user": ipmi.USER,
            "password": REFERENCE,
            "cipher": CIPHER,
        }
        said = f"the BMC at 127.0.0.1:{port} says Chassis Power is"
        self.words = {"on": f"{said} on", "off": f"{said} off"}
        self.evidence = {
            "wake": {"asked": "on", "said": "Chassis Power Control: Up/On"},
            "send_down": {"asked": "soft", "said": "Chassis Power Control: Soft"},
            "cut": {"asked": "off", "said": "Chassis Power Control: Down/Off"},
        }

    def nobody(self) -> Any:
        return self.driver(port=ipmi.free_udp_port())

    def losing(self, folder: Path, patch: pytest.MonkeyPatch) -> AbstractContextManager[Any]:
        return self.failing("echo 'Unable to set Chassis Power Control' >&2; exit 1", folder, patch)

    @contextmanager
    def failing(self, fault: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Any]:
        bmc_that_says(folder, fault, patch)
        yield self.driver()


class Redfish(Bench):
    """An emulator that is not ours; for what it cannot do, a BMC that answers as it is told."""

    kind = "redfish"
    secret = "correct horse: battery"  # noqa: S105  the BMC is a test's own
    stranger = (
        "does not accept the user operator with the password that is from_env POWER_SECRET; `user:`"
        " and `password:` are in the power of gpu1 in the inventory"
    )
    answers: ClassVar = {
        "in trouble": (500, b"{}"), "a login page": (200, b"<html>Login</html>"),
        "nothing": (200, b""), "no systems": (200, b'{"Members": []}'), "a list": (200, b"[]"),
    }  # fmt: skip
    states: ClassVar = {"neither": "PoweringOff", "no state": None}
    faults = (*answers, *states)

    @contextmanager
    def stand(self, folder: Path) -> Iterator[None]:
        with redfish.emulated(folder, self.secret, (HOST,), self.rig) as bmc:
            self.at(bmc)
            yield

    def at(self, bmc: redfish.Bmc) -> None:
        self.written = {
            "address": bmc.address, "user": redfish.USER, "password": REFERENCE,
            "certificate": bmc.certificate,
        }  # fmt: skip
        self.words = {
            "on": f"the BMC at {bmc.address} says PowerState On",
            "off": f"the BMC at {bmc.address} says PowerState Off",
        }
        asked = {"wake": "On", "send_down": "GracefulShutdown", "cut": "ForceOff"}
        self.evidence = {
            act: {"asked": way, "said": "204 NO CONTENT"} for act, way in asked.items()
        }

    @contextmanager
    def losing(self, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Any]:
        with redfish.serving(redfish.Faulty(*redfish.self_signed(folder))) as served:
            served.on_reset = served.answering.clear
            driver = self.driver(address=served.bmc.address, certificate=served.bmc.certificate)
            driver.seconds = 1.0
            yield driver

    @contextmanager
    def failing(self, fault: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Any]:
        with redfish.serving(redfish.Faulty(*redfish.self_signed(folder))) as served:
            if fault in self.answers:
                served.answers["GET"] = self.answers[fault]
            else:
                served.state = self.states[fault]
            yield self.driver(address=served.bmc.address, certificate=served.bmc.certificate)


class Proxmox(Bench):
    """A small cluster whose guest, or whose node, is the host."""

    kind = "proxmox"
    secret = pve.SECRET
    stranger = (
        "answered 401 invalid token value!; `token:` and `secret:` are in the power of the host in"
        " the inventory"
    )
    who: ClassVar = f"{pve.USER}!{pve.TOKEN}"
    looked = "current"
    """What the API is asked for how the host is."""
    faults = ("a number", "an odd status", "refused", "no route")
    lost: tuple[str, ...] = ("shutdown", "stop")

    def __init__(self, **which: Any) -> None:
        super().__init__(address="pve1.lan", token=self.who, secret=REFERENCE, **which)

    @contextmanager
    def stand(self, folder: Path) -> Iterator[None]:
        guests = [pve.Guest(100, HOST), pve.Guest(101, HOST, "lxc")]
        with pve_server.serving(pve.Cluster(self.rig, guests, [HOST]), folder) as stand:
            self.cluster = stand.cluster
            self.written |= {"address": stand.address, "certificate": str(stand.certificate)}
            self.at(f"Proxmox at {stand.address} says")
            yield

    def at(self, says: str) -> None:
        """Say what is to be heard of the host."""
        raise NotImplementedError

    def driver(self, **changed: Any) -> proxmox.Driver:
        return proxmox.Driver(
            self.options(**changed),
            Reach(HOST, NOTHING, NOTHING, Refusals(SystemClock()), self.loop),
            Patience(beginning=0.5),
        )

    def calm(self) -> None:
        self.cluster.calm()

    def heard(self) -> int:
        return len(self.cluster.asked)

    @contextmanager
    def losing(self, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Any]:
        # From who passes requests on to another node.
        self.cluster.faults.refuses = dict.fromkeys(self.lost, (595, "Connection timed out"))
        yield self.driver()

    @contextmanager
    def failing(self, fault: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Any]:
        faults = self.cluster.faults
        match fault:
            case "a number":
                faults.answers[self.looked] = 7
            case "an odd status":
                faults.answers[self.looked] = self.odd()
            case "refused":
                faults.refuses[self.looked] = (500, "got timeout")
            case _:
                faults.refuses[self.looked] = (595, "No route to host")
        yield self.driver()

    def odd(self) -> object:
        return {"status": "odd", "qmpstatus": "odd"}


class Guest(Proxmox):
    """A virtual machine or a container."""

    def __init__(self, number: int, kind: Literal["VM", "container"]) -> None:
        super().__init__(guest=number)
        self.name = f"{self.kind} {kind}"
        self.called = f"{kind} {number} on node {pve.LOCAL}"

    def at(self, says: str) -> None:
        self.words = {
            "on": f"{says} {self.called} is running",
            "off": f"{says} {self.called} is stopped",
        }
        self.evidence = {
            "wake": {"asked": f"start {self.called}", "said": "OK"},
            "send_down": {"asked": f"shutdown {self.called}"},
            "cut": {"asked": f"stop {self.called}", "said": "OK"},
        }


class Node(Proxmox):
    """A node that another of its cluster wakes; that its cluster misses it is no proof of off."""

    off = None
    looked = "nodes"
    lost = ("status",)

    def __init__(self) -> None:
        super().__init__(node=HOST)
        self.name = f"{self.kind} node"

    def at(self, says: str) -> None:
        unseen = "its cluster does not see it, which does not prove that it is off"
        self.words = {
            "on": f"{says} node {HOST} is online",
            "off": f"{says} node {HOST} is offline: {unseen}",
        }
        self.evidence = {
            "wake": {"asked": f"wakeonlan {HOST}", "packet_to": self.rig.host(HOST).mac},
            "send_down": {"asked": f"shutdown of node {HOST}"},
        }

    def odd(self) -> object:
        return [{"node": HOST, "status": "unknown"}]


class Brisk(plug.Driver):
    """A driver that waits no longer than plugs of tests need."""

    seconds: ClassVar[float] = 5.0
    rest: ClassVar[float] = 0.2


PASSWORD = "s3cret-Wörd&x=1"  # noqa: S105 - of a plug that stands in for one
TOKEN = "eyJhbGciOiJIUzI1NiJ9.aa-bb_cc.dd"  # noqa: S105 - of nobody

PRIVATE = {dialect: TOKEN if dialect == "homeassistant" else PASSWORD for dialect in plugs.DIALECTS}


class Plug(Bench):
    """A plug of one dialect, with the host in it."""

    kind = "plug"
    stranger = "answered 401: check `user` and `password` of the plug in the inventory"
    faults = ("500", "404", "garbage", "list", "empty", "hangs up")

    def __init__(self, dialect: str) -> None:
        assistant = (
            {"entity": "switch.gpu1", "sensor": "sensor.gpu1_power"}
            if dialect == "homeassistant"
            else {}
        )
        super().__init__(dialect=dialect, address="plug.lan", password=REFERENCE, **assistant)
        self.name = f"{self.kind} {dialect}"
        self.served = plugs.DIALECTS[dialect]()
        self.secret = PRIVATE[dialect]

    @contextmanager
    def stand(self, folder: Path) -> Iterator[None]:
        self.served.password = self.secret
        self.served.load = lambda: DOWN_WATTS if self.rig.state(HOST) == "off" else UP_WATTS
        self.served.switched = lambda on: self.rig.on(HOST) if on else self.rig.cut(HOST)
        with plug_server.serving(self.served):
            self.written["address"] = self.served.address
            entity = f"{self.written['entity']} at " if "entity" in self.written else ""
            said = f"the plug {entity}{self.served.address} gives"
            self.words = {
                "on": f"{said} {UP_WATTS:g} W",
                "off": f"{said} {DOWN_WATTS:g} W, less than 10 W",
            }
            self.evidence = {
                act: {"plug": self.served.address, "asked": way}
                for act, way in {"wake": "on", "cut": "off"}.items()
            }
            yield

    def driver(self, **changed: Any) -> plug.Driver:
        return Brisk(
            self.options(**changed),
            Reach(HOST, NOTHING, here("/nowhere"), Refusals(SystemClock()), self.loop),
        )

    def calm(self) -> None:
        self.served.fault = ""
        self.served.turn(True)
        self.served.asked.clear()

    def heard(self) -> int:
        return len(self.served.asked)

    def waking_what_is_on(self) -> AbstractContextManager[Any]:
        return pytest.raises(
            DriverError, match="it is on already, and nothing shows that gpu1 is down"
        )

    def losing(self, folder: Path, patch: pytest.MonkeyPatch) -> AbstractContextManager[Any]:
        return self.failing("hangs up", folder, patch)

    @contextmanager
    def failing(self, fault: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Any]:
        self.served.fault = fault  # type: ignore[assignment]  # one of `faults`
        yield self.driver()


RELAYS: tuple[Bench, ...] = (
    Ipmi(), Redfish(), Guest(100, "VM"), Guest(101, "container"), Node(),
    *(Plug(dialect) for dialect in plugs.DIALECTS),
)  # fmt: skip
