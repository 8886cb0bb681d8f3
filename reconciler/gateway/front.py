"""Front: the socket that clients connect to, and how it is closed without cutting anyone short."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from reconciler.errors import Misused
from reconciler.gateway.client import ClientConnection
from reconciler.gateway.clients import Clients
from reconciler.gateway.head import host_name
from reconciler.gateway.seats import Seats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BACKLOG = 1024
FINISH_SECONDS = 30.0
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


class SocketFront:
    """The gateway at one address of the loopback."""

    def __init__(self, address: str, clock: Callable[[], float], began: float = 0.0) -> None:
        """Take an address such as 127.0.0.1:8400, the boot clock, and the wall clock's time.

        Raise Misused.
        """
        self._host, self._port = _split(address)
        self.clients = Clients()
        self.doors = Seats(clock, began)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[str]:
        """Listen until left; then wait until what is under way has ended, but not for ever."""
        server = await self._listening()
        bound: tuple[str, int] = server.sockets[0].getsockname()[:2]
        try:
            yield f"{self._host}:{bound[1]}"
        finally:
            server.close()
            with anyio.CancelScope(shield=True):
                await self._finish()

    async def _listening(self) -> asyncio.Server:
        host = self._host.strip("[]")
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(self._client, host, self._port, backlog=BACKLOG)
        except OSError as error:
            said = f"cannot listen at {self._host}:{self._port}: {error.strerror or error}"
            raise Misused(f"{said}; name another address with --listen") from error

    def _client(self) -> ClientConnection:
        return ClientConnection(self.doors, LOOPBACK, self.clients)

    async def _finish(self) -> None:
        self.doors.leave()
        with anyio.move_on_after(FINISH_SECONDS):
            await self.clients.all_idle()
        self.clients.close()
        self.doors.disconnect()


def _split(address: str) -> tuple[str, int]:
    host, port = host_name(address), address.rpartition(":")[2]
    if host == address or not port.isdigit():
        raise Misused(f"found {address}, expected HOST:PORT such as 127.0.0.1:8400")
    if host not in LOOPBACK:
        said = f"found {address}, expected an address of the loopback, such as 127.0.0.1:8400"
        raise Misused(f"{said}: the gateway knows no keys yet, so other machines must not reach it")
    return host, int(port)
