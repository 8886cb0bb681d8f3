"""Front: where clients connect, and how that is closed without cutting anyone short."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from reconciler.gateway.client import ClientConnection
from reconciler.gateway.clients import Clients
from reconciler.gateway.control import Answers, ControlExchange
from reconciler.gateway.doorkeeper import Doorkeeper
from reconciler.gateway.exchange import Exchange
from reconciler.gateway.listening import Listening, addresses
from reconciler.gateway.seats import Seats
from reconciler.gateway.states import StateChanges
from reconciler.gateway.telling import Telling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from reconciler.gateway.answering import Answering, Underway
    from reconciler.gateway.control import Control
    from reconciler.gateway.doorkeeper import Clocks, Rings
    from reconciler.gateway.judged import AdmittedRequest

TURNS_TO_CONNECT = 3
"""After so many turns of the event loop what it has accepted is a connection that we know of."""


class SocketFront:
    """The gateway, where it listens."""

    def __init__(
        self,
        listening: Listening,
        clocks: Clocks,
        rings: Rings,
        control: Callable[[Seats], Control],
        finish: float,
    ) -> None:
        """Take the boot clock and the wall clock, the keys, and the seconds it takes to end.

        `control` makes what answers where no engine does.
        """
        clock, wall = clocks
        self._listening, self._seconds = listening, finish
        self.doors = Seats(clock, wall())
        self._control, self._states = control(self.doors), StateChanges(self.doors)
        self.clients = Clients(self.doors.counts)
        self._doorkeeper = Doorkeeper(self.doors, rings, clocks)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[str, ...]]:
        """Listen until left; then wait until what is under way has ended, but not for ever."""
        servers = [*await self._listening.begun(self._client)]
        try:
            at = addresses(servers)
            servers += await self._listening.control_begun(self._client)
            yield at
        finally:
            # What nobody has accepted yet waits in a socket of systemd for the next process.
            for server in servers:
                server.close()
            with anyio.CancelScope(shield=True):
                await self._finish()

    def _client(self) -> ClientConnection:
        return ClientConnection(self._exchange, self._doorkeeper, self.clients)

    def _exchange(self, client: Answering, admitted: AdmittedRequest, body: bytes) -> Underway:
        match admitted.entered.entrance.answer:
            case "engine" | "upstream":
                return Exchange(client, admitted, body, self.doors)
            case "props" if admitted.request.asked("model"):
                return Exchange(client, admitted, body, self.doors)
            case "control":
                return self._controlled(client, admitted, body, self._control)
            case "states":
                return self._controlled(client, admitted, body, self._states)
            case _:
                return Telling(client, admitted, body, self.doors)

    def _controlled(
        self, client: Answering, admitted: AdmittedRequest, body: bytes, control: Control
    ) -> ControlExchange:
        allowance = self.doors.allowance(admitted.requester)
        return ControlExchange(client, admitted, body, Answers(control, allowance))

    async def _finish(self) -> None:
        for _ in range(TURNS_TO_CONNECT):
            await asyncio.sleep(0)
        self.clients.leave()
        self.doors.leave()
        with anyio.move_on_after(self._seconds):
            await self.clients.all_gone()
        self.clients.cut()
        self.doors.disconnect()
