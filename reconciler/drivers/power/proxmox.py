"""Proxmox VE: the power of one of its guests or nodes, through the API of the cluster.

For a guest the token needs VM.PowerMgmt and VM.Audit at it (the role PVEVMUser); for a node
Sys.PowerMgmt at it and Sys.Audit at /. Source: the API of Proxmox VE 8.2 to 9,
https://pve.proxmox.com/pve-docs/api-viewer; the client proxmoxer 2.3 agrees.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from reconciler.drivers.power.host_power.refusals import Account
from reconciler.drivers.power.pve.guest import Guest
from reconciler.drivers.power.pve.node import ProxmoxNode
from reconciler.edge.proxmox_api import PATIENCE, Patience, ProxmoxApi, ProxmoxLogin
from reconciler.errors import Declined, DriverError
from reconciler.model.address import endpoint
from reconciler.model.facts import Known, Unknown
from reconciler.model.quantity import WHOLE, expected
from reconciler.model.reason import Reason
from reconciler.model.secret import Secret
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from typing import Self

    from reconciler.drivers.power.host_power.deps import Reach
    from reconciler.model.facts import Fact
    from reconciler.model.power import Testimony
    from reconciler.ports import Evidence

CAPABILITIES = Capabilities(can_wake=True, can_shut_down=True, can_testify=True)
PACE_SECONDS = 2.0
"""How often it is asked at most whether the host is on. A question is two requests."""

PORT = 8006

_TOKEN = re.compile(r"[^\s:/@!=]+@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]*")
_NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")


def _address(text: str) -> str:
    found = endpoint(
        text,
        'a name or address, and a port when it is not 8006, such as "pve1.lan" or'
        ' "https://[fd00::1]:443"',
    )
    return found.place if found.port else f"{found.host}:{PORT}"


def _token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise expected('USER@REALM!TOKENID, such as "reconciler@pve!power"')
    return text


def _node(text: str) -> str:
    if not _NODE.fullmatch(text):
        raise expected('the name of a node, such as "pve2"')
    return text


class Options(BaseModel):
    """Which API to ask, and for which guest or node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Annotated[str, AfterValidator(_address)] = Field(
        description=(
            'Where the API is, such as "pve1.lan", with a port when that is not 8006. To wake a'
            " node, another node."
        )
    )
    token: Annotated[str, AfterValidator(_token)] = Field(
        description='Who asks: "USER@REALM!TOKENID".'
    )
    secret: Secret = Field(description="Where the token's secret is.")
    guest: Annotated[int, Field(ge=100, le=999_999_999), WHOLE] | None = Field(
        default=None,
        description=(
            "The number of the virtual machine or container that is the host, on whichever node"
            " it is."
        ),
    )
    node: Annotated[str, AfterValidator(_node)] | None = Field(
        default=None, description="The name of the node that is the host, when it is no guest."
    )
    certificate: Annotated[str, Field(pattern="^/")] | None = Field(
        default=None,
        description=(
            "The PEM file that its own certificate is checked against; a copy of a node's"
            " /etc/pve/pve-root-ca.pem."
        ),
    )

    @model_validator(mode="after")
    def _one_host(self) -> Self:
        if (self.guest is None) == (self.node is None):
            raise ValueError(
                "give either guest (the number of a virtual machine or container) or node (the name"
                " of a node)"
            )
        return self


def capabilities(options: Options) -> Capabilities:
    """Tell what it can do: nothing cuts the power of a node."""
    return CAPABILITIES.model_copy(update={"can_cut": options.guest is not None})


class Driver:
    """One guest or node."""

    needs_permission = False

    def __init__(self, options: Options, reach: Reach, patience: Patience = PATIENCE) -> None:
        self.options = options
        self._host = reach.name
        self._refusals = reach.refusals
        self._patience = patience

    def _subject(self) -> Guest | ProxmoxNode:
        """Choose what is asked for, and read the secret that it takes.

        Raise Declined where there is no secret, or Barred where it was refused a moment ago.
        """
        guest, api = self.options.guest, self._api()
        return ProxmoxNode(api, str(self.options.node)) if guest is None else Guest(api, guest)

    def _api(self) -> ProxmoxApi:
        options = self.options
        account = Account(self._host, options.address, options.token)
        showing = partial(self._refusals.showing, account)
        login = ProxmoxLogin(options.address, options.token, options.secret, options.certificate)
        return ProxmoxApi(login, showing, self._patience)

    async def testimony(self) -> Fact[Testimony]:
        """Ask the cluster how it is."""
        try:
            return Known(await self._subject().testimony())
        except DriverError as error:
            return Unknown(error.message)

    async def wake(self) -> Evidence:
        """Start the guest, or have the node woken; raise DriverError."""
        return await self._subject().wake()

    async def wake_problem(self) -> Reason:
        """Explain why it could not, if it could not."""
        try:
            return await self._subject().wake_problem()
        except DriverError as error:
            return Reason(
                f"whether Proxmox could wake {self._host} cannot be read: {error.message}"
            )

    async def send_down(self, way: Literal["off", "suspend"]) -> Evidence:
        """Ask it to shut down.

        Raise Declined when that was refused, DriverError when it is not known.
        """
        if way == "suspend":
            raise Declined(f"Proxmox cannot suspend {self._host} so that it draws less power")
        return await self._subject().send_down()

    async def cut(self) -> Evidence:
        """Cut the power of the guest; raise DriverError."""
        return await self._subject().cut()
