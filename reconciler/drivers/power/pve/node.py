"""The power of a node itself, asked through another node of its cluster, which is the one that sends the packet.

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
        """Ask an API, which should be that of another node."""
        self._api = api
        self._name = name

    async def testimony(self) -> Testimony:
        """Return what the cluster says of it; raise Declined."""
        nodes = await self._api.get("nodes", NODES)
        found = next((one for one in nodes if one.node == self._name), None)
        if found is None:
            raise Declined(
                f"{self._api.address} knows no node {self._name}, only"
                f" {', '.join(one.node for one in nodes)}"
            )
        words = f"Proxmox at {self._api.address} says node {self._name} is {found.status}"
        if found.status == "online":
            return Testimony(state="on", words=words)
        return Testimony(
            state=None,
            words=f"{words}: its cluster does not see it, which does not prove that it is off",
        )

    async def wake(self) -> Evidence:
        """Have a magic packet sent to it; raise DriverError."""
        mac = await self._api.post(f"nodes/{self._name}/wakeonlan", {})
        return {"asked": f"wakeonlan {self._name}", "packet_to": mac}

    async def wake_problem(self) -> Reason:
        """Return why no packet could be sent to it, as far as its cluster knows; raise Declined."""
        if any(
            one.local and one.name == self._name
            for one in await self._api.get("cluster/status", MEMBERS)
        ):
            return Reason(
                f"{self._api.address} is node {self._name}, which cannot wake itself",
                "`address` must be another node's",
            )
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
        """Refuse: nothing there takes the power from a node."""
        raise Declined(
            f"Proxmox at {self._api.address} cannot cut the power of node {self._name}, only that"
            " of guests"
        )
