"""The power of a guest: a virtual machine or a container, wherever in the cluster it is.

A task is accepted long before it fails: "VM 100 already running" and "can't lock file" come as its
end. Suspending from outside is left out: `suspend` only stops the processors of a machine, whose
cards go on drawing power, and with a card passed through `todisk` is refused. Source: qemu-server's
API2/Qemu.pm and pve-ha-manager's Resources/PVEVM.pm, 8.2 to 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, TypeAdapter

from reconciler.edge.proxmox_api import failed
from reconciler.errors import Declined, DriverError
from reconciler.model.power import Testimony
from reconciler.model.reason import Reason

if TYPE_CHECKING:
    from reconciler.edge.proxmox_api import ProxmoxApi
    from reconciler.model.power import PowerState
    from reconciler.ports import Evidence

POWER = "VM.PowerMgmt"

HA_SECONDS = "600"
"""After how long high availability kills a guest that it was asked to stop, which it does in any
case."""

NO_MATTER = ("already running", "can't lock file")
"""How a start ends that another one has made needless: it runs, or is about to."""

SUSPENDED = {"paused", "suspended", "suspended to disk"}
NAMES = {"qemu": "VM", "lxc": "container"}


class _Resource(BaseModel):
    type: Literal["qemu", "lxc"]
    node: str
    vmid: int


class _Availability(BaseModel):
    managed: bool = False


class _Seen(BaseModel):
    status: str
    qmpstatus: str = ""
    lock: str = ""
    ha: _Availability = _Availability()

    @property
    def word(self) -> str:
        """The most exact word for it."""
        if self.lock == "suspended" and self.status == "stopped":
            return "suspended to disk"
        return self.qmpstatus or self.status

    @property
    def state(self) -> PowerState | None:
        """Its power; one that crashed is still on."""
        if self.word in SUSPENDED:
            return "suspended"
        # `prelaunch` is a machine that is off while it is backed up.
        if self.status == "running" and self.word != "prelaunch":
            return "on"
        return "off" if self.status == "stopped" else None

    @property
    def is_paused(self) -> bool:
        """Whether it goes on where it stopped, without a start."""
        return self.state == "suspended" and self.status == "running"


RESOURCES = TypeAdapter(list[_Resource])
SEEN = TypeAdapter(_Seen)


class _Place(NamedTuple):
    """A guest where it is, with its name and its present state."""

    path: str
    name: str
    seen: _Seen


class Guest:
    """One guest."""

    def __init__(self, api: ProxmoxApi, number: int) -> None:
        self._api = api
        self._number = number

    async def _place(self) -> _Place:
        """Find it in its cluster; raise Declined."""
        found = await self._resource()
        path = f"nodes/{found.node}/{found.type}/{found.vmid}/status"
        name = f"{NAMES[found.type]} {found.vmid} on node {found.node}"
        return _Place(path, name, await self._api.get(f"{path}/current", SEEN))

    async def _resource(self) -> _Resource:
        # It may have moved to another node since the last look.
        resources = await self._api.get("cluster/resources?type=vm", RESOURCES)
        for one in resources:
            if one.vmid == self._number:
                return one
        raise Declined(
            f"{self._api.address} shows no guest {self._number} to the token {self._api.token}:"
            " either there is none, or the token may not see it (VM.Audit at"
            f" /vms/{self._number})"
        )

    async def testimony(self) -> Testimony:
        """Ask its node how it is; raise Declined."""
        place = await self._place()
        words = f"Proxmox at {self._api.address} says {place.name} is {place.seen.word}"
        return Testimony(state=place.seen.state, words=words)

    async def wake(self) -> Evidence:
        """Start it, or resume it where it is paused; raise DriverError."""
        place = await self._place()
        if place.seen.state == "on":
            return {"asked": "nothing", "said": f"{place.name} is {place.seen.word} already"}
        verb = "resume" if place.seen.is_paused else "start"
        task = await self._api.post(f"{place.path}/{verb}", {})
        said = await self._api.exit_of(task, self._api.patience.task)
        if failed(said) and not any(words in said for words in NO_MATTER):
            raise self._failed(f"could not {verb} {place.name}", said, task)
        return _evidence(verb, place, task, said)

    def _failed(self, what: str, said: str, task: str) -> DriverError:
        return DriverError(f"{self._api.address} {what}: {said} ({task})")

    async def wake_problem(self) -> Reason:
        """Explain why it could not be started, if it could not; raise Declined."""
        await self._place()
        return await self._api.lacks(POWER, f"/vms/{self._number}")

    async def send_down(self) -> Evidence:
        """Ask its system to shut down, within the time that is set for it there.

        Raise Declined or DriverError.
        """
        place = await self._place()
        form = {"timeout": HA_SECONDS} if place.seen.ha.managed else {}
        task = await self._api.post(f"{place.path}/shutdown", form)
        said = await self._api.exit_of(task, self._api.patience.beginning)
        if failed(said):
            raise Declined(self._failed(f"did not shut down {place.name}", said, task).message)
        return _evidence("shutdown", place, task, said)

    async def cut(self) -> Evidence:
        """Cut its power, also under a shutdown that hangs; raise DriverError."""
        place = await self._place()
        # High availability stops at once by itself, and refuses the word.
        form = {} if place.seen.ha.managed else {"overrule-shutdown": "1"}
        task = await self._api.post(f"{place.path}/stop", form)
        said = await self._api.exit_of(task, self._api.patience.task)
        if failed(said):
            raise self._failed(f"could not stop {place.name}", said, task)
        return _evidence("stop", place, task, said)


def _evidence(verb: str, place: _Place, task: str, said: str) -> Evidence:
    return {"asked": f"{verb} {place.name}", "task": task, "said": said or "the task goes on"}
