"""A Proxmox VE cluster in front of a rig's hosts: what its API does about power, and faults.

A small cluster: node pve1, whose API it is, has the guests; other nodes are hosts of the rig
themselves. Long work runs on behind its UPID, and the words of errors are in the status line. It
follows qemu-server's Qemu.pm and pve-manager's Nodes.pm.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote

from tests.rigs.hostrig.client import Rig
from tests.rigs.hostrig.programs import RigError

LOCAL = "pve1"
USER, TOKEN, SECRET = "reconciler@pve", "power", "d3b07384-d9a7-4c3b-8f1e-5a1c0ffee000"
DEADLINE = 60.0
POWEROFF_SECONDS = 0.2
"""After how long a node that was asked to shut down begins to, which is two seconds there."""

NAMES = {"qemu": "VM", "lxc": "CT"}
TASKS = {"qemu": "qm", "lxc": "vz"}

Form = Mapping[str, str]


class Refused(Exception):
    """A refusal of a request, with its status line."""

    def __init__(self, status: int, reason: str, errors: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.errors = status, reason, errors


class Request(NamedTuple):
    """A request as it came in."""

    method: str
    path: str
    form: Form
    authorization: str


@dataclass
class Guest:
    """A guest of pve1, which is a host of the rig; orders wait for `lock`, as they do there."""

    number: int
    host: str
    type: Literal["qemu", "lxc"] = "qemu"
    managed: bool = False
    paused: bool = False
    on_disk: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        return f"{NAMES[self.type]} {self.number}"


@dataclass
class Faults:
    """What goes wrong: `fails` ends an accepted task of a verb so; tasks wait for `slow`."""

    fails: dict[str, str] = field(default_factory=dict)
    slow: threading.Event = field(default_factory=threading.Event)
    refuses: dict[str, tuple[int, str]] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    answers: dict[str, object] = field(default_factory=dict)


class Cluster:
    """What the API speaks for; `privileges` are those of the token, by path."""

    def __init__(self, rig: Rig, guests: list[Guest], nodes: list[str]) -> None:
        self.rig = rig
        self.guests = {guest.number: guest for guest in guests}
        self.nodes = nodes
        self.wakeonlan = {name: rig.host(name).mac for name in nodes}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.asked: list[Request] = []
        self.workers: list[threading.Thread] = []
        self.over = threading.Event()
        self.heal()

    def heal(self) -> None:
        """Let nothing go wrong from now on."""
        self.faults = Faults()
        self.faults.slow.set()
        rights = {f"/vms/{number}": {"VM.PowerMgmt", "VM.Audit"} for number in self.guests}
        self.privileges = (
            rights
            | {f"/nodes/{name}": {"Sys.PowerMgmt"} for name in [LOCAL, *self.nodes]}
            | {"/": {"Sys.Audit"}}
        )

    def calm(self) -> None:
        """Heal everything, end every task, switch every host off, and forget what was asked."""
        self.over.set()
        self.faults.slow.set()
        self.heal()
        for guest in self.guests.values():
            guest.managed = guest.paused = guest.on_disk = False
        for name in [*self.nodes, *(guest.host for guest in self.guests.values())]:
            self.rig.cut(name)
            self.rig.wait(name, "off", DEADLINE)
            self.rig.heal(name)
        for worker in self.workers:
            worker.join(DEADLINE)
        self.workers.clear()
        self.over.clear()
        self.asked.clear()

    def answer(self, request: Request) -> object:
        """Return what a request is answered with; raise Refused."""
        self.asked.append(request)
        expected = f"PVEAPIToken={USER}!{TOKEN}={SECRET}"
        if request.authorization != expected:
            raise Refused(401, "No ticket" if not request.authorization else "invalid token value!")
        path, _, query = request.path.partition("?")
        last = path.rpartition("/")[2]
        if last in self.faults.hangs:
            self.over.wait(DEADLINE)
        if last in self.faults.refuses:
            raise Refused(*self.faults.refuses[last])
        if last in self.faults.answers:
            return self.faults.answers[last]
        form = {**dict(parse_qsl(query)), **request.form}
        for method, pattern, action in ROUTES:
            if method == request.method and (found := re.fullmatch(pattern, path)):
                return action(self, *map(unquote, found.groups()), form)
        raise Refused(501, f"Method '{request.method} {path}' not implemented")

    def needs(self, privilege: str, path: str) -> None:
        """Refuse what the token has no right to."""
        if privilege not in self.privileges.get(path, set()):
            raise Refused(403, f"Permission check failed ({path}, {privilege})")

    def permissions(self, form: Form) -> object:
        return {form["path"]: dict.fromkeys(self.privileges.get(form["path"], set()), 1)}

    def resources(self, _form: Form) -> object:
        seen = [
            one
            for number, one in self.guests.items()
            if "VM.Audit" in self.privileges.get(f"/vms/{number}", set())
        ]
        return [
            {"id": f"{one.type}/{one.number}", "vmid": one.number, "type": one.type, "node": LOCAL}
            for one in seen
        ]

    def members(self, _form: Form) -> object:
        self.needs("Sys.Audit", "/")
        nodes = [
            {"type": "node", "name": name, "local": int(name == LOCAL)}
            for name in [LOCAL, *self.nodes]
        ]
        return [{"type": "cluster", "name": "homelab", "quorate": 1}, *nodes]

    def listed(self, _form: Form) -> object:
        seen = [
            {"node": name, "status": "online" if self.rig.state(name) == "on" else "offline"}
            for name in self.nodes
        ]
        return [{"node": LOCAL, "status": "online", "type": "node"}, *seen]

    def config(self, node: str, _form: Form) -> object:
        self.needs("Sys.Audit", "/")
        return (
            {"wakeonlan": self.wakeonlan[node]}
            if node in self.wakeonlan
            else {"digest": "da39a3ee"}
        )

    def wake(self, node: str, _form: Form) -> object:
        self.needs("Sys.PowerMgmt", f"/nodes/{node}")
        if node == LOCAL:
            raise Refused(500, f"'{node}' is local node, cannot wake my self!")
        if node not in self.wakeonlan:
            raise Refused(500, f"No wake on LAN MAC address defined for '{node}'!")
        self.rig.send(node)
        return self.wakeonlan[node]

    def command(self, node: str, form: Form) -> object:
        self.needs("Sys.PowerMgmt", f"/nodes/{node}")
        if form.get("command") not in {"shutdown", "reboot"}:
            raise Refused(
                400,
                "Parameter verification failed.",
                {"command": "value does not have a value in the enumeration"},
            )
        threading.Timer(POWEROFF_SECONDS, self.rig.button, (node,)).start()
        return None

    def guest(self, kind: str, number: str) -> Guest:
        found = self.guests.get(int(number))
        if found is None or found.type != kind:
            raise Refused(
                500,
                f"Configuration file 'nodes/{LOCAL}/{kind}-server/{number}.conf' does not exist",
            )
        return found

    def current(self, kind: str, number: str, _form: Form) -> object:
        guest = self.guest(kind, number)
        self.needs("VM.Audit", f"/vms/{number}")
        status = "stopped" if self.rig.state(guest.host) == "off" else "running"
        machine = {"qmpstatus": "paused" if guest.paused else status} if kind == "qemu" else {}
        lock = {"lock": "suspended"} if guest.on_disk else {}
        return (
            {
                "vmid": guest.number,
                "name": guest.host,
                "status": status,
                "ha": {"managed": int(guest.managed)},
            }
            | machine
            | lock
        )

    def act(self, kind: str, number: str, verb: str, form: Form) -> object:
        guest = self.guest(kind, number)
        self.needs("VM.PowerMgmt", f"/vms/{number}")
        if verb == "shutdown" and guest.paused:
            raise Refused(500, "VM is paused - cannot shutdown")
        if verb == "stop" and guest.managed and "overrule-shutdown" in form:
            reason = {"overrule-shutdown": "Not applicable for HA resources."}
            raise Refused(400, "Parameter verification failed.", reason)
        if guest.managed and verb != "resume":
            return self.task(
                f"ha{'start' if verb == 'start' else 'stop'}",
                guest,
                lambda: self.later(guest, verb, form),
            )
        return self.task(TASKS[kind] + verb, guest, lambda: self.work(guest, verb, form))

    def later(self, guest: Guest, verb: str, form: Form) -> None:
        """Only ask for it, as high availability does."""
        self.begin(lambda: self.work(guest, verb, form))

    def begin(self, work: Callable[[], None]) -> None:
        self.workers.append(threading.Thread(target=work, daemon=True))
        self.workers[-1].start()

    def work(self, guest: Guest, verb: str, form: Form) -> None:
        """Do it, as the worker of a task; raise RuntimeError."""
        if verb in self.faults.fails:
            raise RuntimeError(self.faults.fails[verb])
        if form.get("overrule-shutdown") == "1":
            self.stop(guest, form)
            return
        if not guest.lock.acquire(blocking=False):
            raise RuntimeError(
                f"can't lock file '/var/lock/{guest.type}-server/lock-{guest.number}.conf' - got"
                " timeout"
            )
        try:
            self.faults.slow.wait(DEADLINE)
            VERBS[verb](self, guest, form)
        finally:
            guest.lock.release()

    def start(self, guest: Guest, _form: Form) -> None:
        if self.rig.state(guest.host) != "off":
            raise RuntimeError(f"{guest.name} already running")
        guest.on_disk = False
        self.rig.on(guest.host)

    def stop(self, guest: Guest, _form: Form) -> None:
        guest.paused = False
        self.rig.cut(guest.host)
        self.rig.wait(guest.host, "off", DEADLINE)

    def shutdown(self, guest: Guest, form: Form) -> None:
        self.rig.button(guest.host)
        try:
            self.rig.wait(guest.host, "off", float(form.get("timeout", DEADLINE)))
        except RigError:
            raise RuntimeError("VM quit/powerdown failed - got timeout") from None

    def suspend(self, guest: Guest, _form: Form) -> None:
        self.rig.link(guest.host, "down")
        guest.paused = True

    def resume(self, guest: Guest, _form: Form) -> None:
        self.rig.link(guest.host, "up")
        guest.paused = False

    def task(self, kind: str, guest: Guest, work: Callable[[], None]) -> str:
        """Begin long work, and return its UPID."""
        process, now = f"{os.getpid():08X}", time.time()
        begun = f"{process}:{len(self.tasks):08X}:{int(now):08X}"
        upid = f"UPID:{LOCAL}:{begun}:{kind}:{guest.number}:{USER}!{TOKEN}:"
        self.tasks[upid] = {
            "upid": upid,
            "node": LOCAL,
            "type": kind,
            "id": str(guest.number),
            "status": "running",
        }

        def run() -> None:
            try:
                work()
                ending = "OK"
            except (RuntimeError, RigError, OSError) as error:
                ending = str(error)
            self.tasks[upid] |= {"exitstatus": ending, "status": "stopped"}

        self.begin(run)
        return upid

    def ending(self, node: str, upid: str, _form: Form) -> object:
        if node != LOCAL or upid not in self.tasks:
            raise Refused(
                400, "Parameter verification failed.", {"upid": "unable to parse worker upid"}
            )
        return dict(self.tasks[upid])


VERBS = {
    "start": Cluster.start, "stop": Cluster.stop, "shutdown": Cluster.shutdown,
    "suspend": Cluster.suspend, "resume": Cluster.resume,
}  # fmt: skip

ROUTES: list[tuple[str, str, Callable[..., object]]] = [
    ("GET", r"access/permissions", Cluster.permissions),
    ("GET", r"cluster/resources", Cluster.resources),
    ("GET", r"cluster/status", Cluster.members),
    ("GET", r"nodes", Cluster.listed),
    ("GET", r"nodes/(\w+)/config", Cluster.config),
    ("POST", r"nodes/(\w+)/wakeonlan", Cluster.wake),
    ("POST", r"nodes/(\w+)/status", Cluster.command),
    ("GET", rf"nodes/{LOCAL}/(qemu|lxc)/(\d+)/status/current", Cluster.current),
    ("POST", rf"nodes/{LOCAL}/(qemu|lxc)/(\d+)/status/({'|'.join(VERBS)})", Cluster.act),
    ("GET", r"nodes/(\w+)/tasks/([^/]+)/status", Cluster.ending),
]
