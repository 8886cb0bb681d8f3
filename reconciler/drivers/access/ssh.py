"""Reach a host over ssh, with the user's own client, keys, agent and configuration.

The host needs sshd and python3 (3.9 or later); nothing is installed there. Measured with OpenSSH
9.2.
"""

from __future__ import annotations

import re
import shlex
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import anyio
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from reconciler.drivers.access.shared.driver import ExchangeDriver
from reconciler.edge.ssh import Link, Program
from reconciler.edge.ssh_destination import Destination
from reconciler.errors import DriverError
from reconciler.model.address import Account, Machine
from reconciler.model.quantity import WHOLE
from reconciler.model.spec import Capabilities
from reconciler.onhost import bundle
from reconciler.ports.host import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reconciler.drivers.access.shared.driver import Json
    from reconciler.drivers.access.shared.place import HostPlace
    from reconciler.model.facts import UnitIdentity

CAPABILITIES = Capabilities()

WATCH_SECONDS = 60.0
LATE_SECONDS = 15.0
DOUBT_SECONDS = 5.0
"""How long nobody looks again who just was not answered."""

COMMAND = f"exec python3 -I -c {shlex.quote(bundle.BOOTSTRAP)}"
"""The same words for every login shell: sh, bash, zsh, fish and csh read them alike."""


def _fitting(pattern: str, expected: str) -> AfterValidator:
    """Refuse a text that a pattern does not fit, in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f'found "{text}", expected {expected}')
        return text

    return AfterValidator(check)


Path = Annotated[
    str,
    Field(max_length=4096),
    _fitting(r"/.*", "a path that begins with /; ~ is not expanded here"),
]
PathThere = Annotated[
    str, Field(max_length=4096), _fitting(r"[~/].*", "a path that begins with / or ~")
]


class Options(BaseModel):
    """How to get there, where ~/.ssh/config does not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Machine | None = Field(
        default=None,
        description="Its name or address, or its alias in ~/.ssh/config; the host's name without.",
    )
    user: Account | None = Field(
        default=None, description="Who to log in as; as ~/.ssh/config says without."
    )
    port: Annotated[int, Field(ge=1, le=65535), WHOLE] | None = Field(
        default=None, description="Where its sshd listens."
    )
    via: Annotated[str, Field(max_length=253)] | None = Field(
        default=None,
        description=(
            "A host of the inventory that it is reached through, as by ssh -J; it is reached over"
            " ssh too."
        ),
    )
    config: Path | None = Field(
        default=None, description="Another file than ~/.ssh/config, with an absolute path."
    )
    directory: PathThere = Field(
        default="~/.local/state/reconciler-host",
        description="Where everything lives that belongs to the host, conversations too.",
    )


def _jump(place: HostPlace) -> str | None:
    """The words of ssh for the host that a place is reached through."""
    if place.via is None:
        return None
    options = Options.model_validate(place.via.access.options)
    address = options.address or place.via.host
    shown = f"[{address}]" if ":" in address and options.port else address
    user = f"{options.user}@" if options.user else ""
    return f"{user}{shown}:{options.port}" if options.port else f"{user}{shown}"


class Driver(ExchangeDriver):
    """The access to a host over ssh."""

    def __init__(self, options: Options, place: HostPlace) -> None:
        """Share the connection with all who reach the host in the same way."""
        address, jump = options.address or place.host_name, _jump(place)
        destination = Destination(
            place.host_name, address, options.user, options.port, options.config, jump
        )
        program = Program(COMMAND, bundle.framed(options.directory), bundle.HELLO)
        self._link = place.loop.one(
            (destination, program), lambda: Link(destination, program, place.loop)
        )
        super().__init__(self._link.exchange)

    @property
    def here(self) -> bool:
        """That it is another machine."""
        return False

    async def where(self) -> str:
        """Return the address that ssh connects to, empty where it goes through others."""
        at = await self._link.door()
        return at.host if at is not None else ""

    async def changes(self, identity: UnitIdentity) -> AsyncIterator[None]:
        """Yield when the unit's process exits, or nobody knows any more, and end."""
        seconds = 0.0
        while (gone := await self._is_gone(identity, seconds)) is False:
            seconds = WATCH_SECONDS
        if gone is None:
            await anyio.sleep(DOUBT_SECONDS)
        if seconds or gone is None:
            yield

    async def _is_gone(self, identity: UnitIdentity, seconds: float) -> bool | None:
        """Return whether a process has exited within seconds, None when nobody can tell."""
        request: Json = {"do": "exit", "identity": identity.model_dump(), "timeout": seconds}
        try:
            evidence = (await self.exchange(request, seconds + LATE_SECONDS)).get("ok")
        except DriverError:
            return None
        return bool(evidence.get("gone")) if isinstance(evidence, dict) else None

    @asynccontextmanager
    async def dial(self, port: int, address: str = LOOPBACK) -> AsyncIterator[str]:
        """Give the URL of a port of this machine that reaches one there, or of a container."""
        yield f"http://127.0.0.1:{await self._link.forwarded(port, address)}"
