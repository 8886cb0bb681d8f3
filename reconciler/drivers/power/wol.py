"""Wake-on-LAN: magic packets from the controller, or from another host on the same network.

A packet has no answer: that it was sent proves nothing, and it is sent again until the host
answers. Before the host is shut down, its card is asked whether it listens. Source: ethtool(8) 6.1,
wakeonlan 0.41 and etherwake 1.09 on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from reconciler.drivers.power.host_power.option_types import HostThere, Mac
from reconciler.model.address import Broadcast, Local
from reconciler.model.facts import Unknown
from reconciler.model.onhost.power import AskWakeOn, WakeOther
from reconciler.model.quantity import WHOLE
from reconciler.model.reason import Reason
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from reconciler.drivers.power.host_power.deps import Reach
    from reconciler.ports import Evidence, Json

CAPABILITIES = Capabilities(can_wake=True)
MAGIC = "g"


class Options(BaseModel):
    """Which card to wake, and how packets get there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mac: Mac = Field(
        description=(
            'The address of the card, such as "aa:bb:cc:dd:ee:ff"; `ip link` on the host shows it.'
        )
    )
    via: HostThere | None = Field(
        default=None,
        description=(
            "A host of the inventory that sends the packets; without it, the controller's own"
            " machine."
        ),
    )
    broadcast: Broadcast | None = Field(
        default=None,
        description=(
            "Where packets are sent; without it, every network of the sender and 255.255.255.255."
        ),
    )
    port: Annotated[int, Field(ge=1, le=65535), WHOLE] = Field(
        default=9, description="The UDP port of the packets."
    )
    interface: str | None = Field(
        default=None, description="The interface of the sender that they leave by, such as eth1."
    )
    source: Local | None = Field(
        default=None, description="The address of the sender that they come from."
    )
    password: Mac | None = Field(
        default=None, description="The SecureOn password of the card, written like its address."
    )
    check: Literal["always", "never"] = Field(
        default="always",
        description=(
            "Whether the card is asked before the host is shut down; never is for one that the host"
            " itself cannot see."
        ),
    )


class Driver:
    """One network card."""

    def __init__(self, options: Options, reach: Reach) -> None:
        self.options = options
        self._reach = reach

    async def wake(self) -> Evidence:
        """Send a few packets; raise DriverError when none could be sent."""
        packet = self.options.model_dump(
            include={"mac", "password", "broadcast", "port", "interface", "source"}
        )
        return await self._reach.via.act(WakeOther(**packet))

    async def wake_problem(self) -> Reason:
        """Explain why the card would not hear a packet, if it would not."""
        if self.options.check == "never":
            return Reason()
        mac = self.options.mac
        (fact,) = await self._reach.host.ask([AskWakeOn(mac=mac)])
        if isinstance(fact, Unknown):
            return Reason(f"whether Wake-on-LAN is armed cannot be read: {fact.reason}")
        card = fact.value
        if card["interface"] is None:
            name = self._reach.name
            found = f"{name} has no network card {mac}, so packets to that address cannot wake it"
            return Reason(found, "`ip link` there shows its own")
        return _unread(card, self._reach.name) or _unarmed(card, self._reach.name)


def _unread(card: Json, host: str) -> Reason:
    if card["settings"] is not None:
        return Reason()
    interface, said = card["interface"], card["said"]
    return Reason(
        f"whether {interface} of {host} listens for packets cannot be read: {said}",
        f"install ethtool there, and let this user run `sudo /usr/sbin/ethtool {interface}`",
    )


def _unarmed(card: Json, host: str) -> Reason:
    interface, supported = card["interface"], card["supported"]
    if MAGIC in str(card["settings"]):
        return Reason()
    if MAGIC in str(supported):
        arm = f"`sudo ethtool -s {interface} wol g` there arms it until the next boot"
        return Reason(f"Wake-on-LAN is off at {interface} of {host}", arm)
    able = f"(Supports Wake-on: {supported})"
    return Reason(f"the card {interface} of {host} cannot be woken by magic packets {able}")
