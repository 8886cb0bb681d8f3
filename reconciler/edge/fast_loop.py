"""Fast loop: uvloop's event loop, which looks up names as LookupLoop does.

Only where the extra `fast` is installed; nothing depends on it.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Any

import uvloop

from reconciler.edge.lookup import Lookups

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from reconciler.edge.lookup import Addresses


class FastLoop(uvloop.Loop):
    """The loop of uvloop (tested with 0.21 and 0.23)."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups = Lookups(self)

    time = staticmethod(monotonic)
    """Seconds; uvloop's own are whole milliseconds, and those at which it last woke."""

    async def getaddrinfo(
        self, host: bytes | str | None, port: bytes | str | int | None, **how: int
    ) -> Addresses:
        """Look a name up aside."""
        return await self._lookups.addresses(host, port, **how)

    async def create_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: Any = None,  # noqa: ANN401 - as all that follows, it is passed on
        port: Any = None,  # noqa: ANN401
        **how: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - as the loop that it stands for has it
        """Connect as ever, but to a name by the addresses that are looked up aside."""
        if host is None or _is_address(host):
            return await super().create_connection(protocol_factory, host, port, **how)
        *others, last = await self.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for one in others:
            with suppress(OSError):
                return await super().create_connection(protocol_factory, *one[4][:2], **how)
        return await super().create_connection(protocol_factory, *last[4][:2], **how)


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        ip_address(host)
        return True
    return False
