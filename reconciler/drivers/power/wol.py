"""Wake a host by magic packets, from the controller or from another host on the same network.

A packet has no answer: what was sent says nothing, and is sent again until the host answers. Before
the host is sent down, its card is asked whether it listens. Source: ethtool(8) 6.1, wakeonlan 0.41
and etherwake 1.09 on the wire.
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
    from reconciler.ports import Evidence

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
    """Wake one card."""

    def __init__(self, options: Options, reach: Reach) -> None:
        """Send from where `reach` says."""
        self.options = options
        self._reach = reach

    async def wake(self) -> Evidence:
        """Send a few packets; raise DriverError when none could be sent."""
        packet = self.options.model_dump(
            include={"mac", "password", "broadcast", "port", "interface", "source"}
        )
        return await self._reach.via.act(WakeOther(**packet))

    async def wake_problem(self) -> Reason:
        """Return why the card would not hear a packet, empty when it would."""
        if self.options.check == "never":
            return Reason()
        (fact,) = await self._reach.host.ask([AskWakeOn(mac=self.options.mac)])
        name, mac = self._reach.name, self.options.mac
        if isinstance(fact, Unknown):
            return Reason(f"whether Wake-on-LAN is armed cannot be read: {fact.reason}")
        interface, settings, supported = (
            fact.value[key] for key in ("interface", "settings", "supported")
        )
        if interface is None:
            return Reason(
                f"{name} has no network card {mac}, so packets to that address cannot wake it",
                "`ip link` there shows its own",
            )
        if settings is None:
            rule = f"/usr/sbin/ethtool {interface}"
            return Reason(
                f"whether {interface} of {name} listens for packets cannot be read:"
                f" {fact.value['said']}",
                f"install ethtool there, and let this user run `sudo {rule}`",
            )
        if MAGIC in str(settings):
            return Reason()
        if MAGIC not in str(supported):
            return Reason(
                f"the card {interface} of {name} cannot be woken by magic packets (Supports"
                f" Wake-on: {supported})"
            )
        return Reason(
            f"Wake-on-LAN is off at {interface} of {name}",
            f"`sudo ethtool -s {interface} wol g` there arms it until the next boot",
        )
