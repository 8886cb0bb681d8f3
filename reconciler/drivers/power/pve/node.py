"""The power of a node itself, through another node of its cluster, which sends the packet.

A node that the cluster does not see may be off, or only be out of reach. Source: pve-manager's
Nodes.pm and Cluster.pm, 8 and 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, TypeAdapter

from reconciler.errors import Declined
from reconciler.model.power import Testimony
from reconciler.model.reason import Reason

if TYPE_CHECKING:
    from reconciler.edge.proxmox_api import ProxmoxApi
    from reconciler.ports import Evidence

POWER = "Sys.PowerMgmt"


class _Node(BaseModel):
    node: str
    status: str = "unknown"


class _Member(BaseModel):
    name: str
    local: bool = False


class _Config(BaseModel):
    wakeonlan: str = ""


NODES = TypeAdapter(list[_Node])
MEMBERS = TypeAdapter(list[_Member])
CONFIG = TypeAdapter(_Config)


class ProxmoxNode:
    """One node."""

    def __init__(self, api: ProxmoxApi, name: str) -> None:
        """Take an API, which should be that of another node."""
        self._api = api
        self._name = name

    async def testimony(self) -> Testimony:
        """Ask the cluster how it is; raise Declined."""
        status = await self._status()
        words = f"Proxmox at {self._api.address} says node {self._name} is {status}"
        if status == "online":
            return Testimony(state="on", words=words)
        unseen = "its cluster does not see it, which does not prove that it is off"
        return Testimony(state=None, words=f"{words}: {unseen}")

    async def _status(self) -> str:
        nodes = {one.node: one.status for one in await self._api.get("nodes", NODES)}
        if self._name not in nodes:
            known = ", ".join(nodes)
            raise Declined(f"{self._api.address} knows no node {self._name}, only {known}")
        return nodes[self._name]

    async def wake(self) -> Evidence:
        """Have a magic packet sent to it; raise DriverError."""
        mac = await self._api.post(f"nodes/{self._name}/wakeonlan", {})
        return {"asked": f"wakeonlan {self._name}", "packet_to": mac}

    async def wake_problem(self) -> Reason:
        """Explain why no packet could be sent to it, if its cluster knows that; raise Declined."""
        members = await self._api.get("cluster/status", MEMBERS)
        if any(one.local and one.name == self._name for one in members):
            itself = f"{self._api.address} is node {self._name}, which cannot wake itself"
            return Reason(itself, "`address` must be another node's")
        config = await self._api.get(f"nodes/{self._name}/config", CONFIG)
        if not config.wakeonlan:
            return Reason(
                f"node {self._name} has no MAC to be woken at",
                "`pvenode config set -wakeonlan MAC` there sets it",
            )
        return await self._api.lacks(POWER, f"/nodes/{self._name}")

    async def send_down(self) -> Evidence:
        """Ask it to shut down, its guests first; raise Declined or DriverError."""
        await self._api.post(f"nodes/{self._name}/status", {"command": "shutdown"})
        return {"asked": f"shutdown of node {self._name}"}

    async def cut(self) -> Evidence:
        """Refuse: nothing there cuts the power of a node."""
        at, name = self._api.address, self._name
        raise Declined(f"Proxmox at {at} cannot cut the power of node {name}, only that of guests")
