"""A gateway on the loopback, with a client of its own and one model that is active."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from reconciler.gateway.control import Control, ControlReply, ControlRequest
from reconciler.gateway.doorkeeper import Rings
from reconciler.gateway.front import SocketFront
from reconciler.gateway.listening import Listening
from reconciler.gateway.seat import Seat
from reconciler.gateway.seats import Seats
from reconciler.model.traffic import Route, Routes
from reconciler.ports import EngineWay
from tests.sample_worlds import HOST, identity
from tests.scripted_engine import ScriptedEngine

CHAT = "/v1/chat/completions"
ROUTES = Routes(
    models=(
        Route(model="a", host=HOST, active=True),
        Route(model="b", host=HOST, active=False),
    ),
    main="a",
)
WITHIN = 10.0


@dataclass
class Stand:
    """A gateway with a client, and the seat of the model that is active."""

    front: SocketFront
    address: str
    client: httpx.AsyncClient

    @property
    def seat(self) -> Seat:
        seat = self.front.doors.of_model("a")
        assert seat is not None
        return seat

    async def admit(
        self, engine: ScriptedEngine, pid: int = 1, at_once: int = 4, bearer: str = ""
    ) -> None:
        await self.front.doors.gate(HOST).admit(
            "a", identity(pid), EngineWay(engine.url, at_once, bearer)
        )

    async def ask(self, path: str = CHAT, **body: Any) -> httpx.Response:
        return await self.client.post(path, json={"model": "a", **body})

    async def send(self, raw: bytes) -> bytes:
        """Send bytes and return all that comes back until the gateway closes."""
        host, port = self.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(raw)
        answer = await asyncio.wait_for(reader.read(), WITHIN)
        writer.close()
        await writer.wait_closed()
        return answer


class NoControl:
    """What keeps no hosts: it answers what it was asked."""

    def __init__(self, doors: object) -> None:
        """Take the gates, and leave them."""

    async def answer(self, asked: ControlRequest) -> ControlReply:
        return ControlReply(200, f"{asked.named} {asked.query} {asked.body!r}".encode())


def a_front(
    finish: float = WITHIN,
    given: Mapping[int, str] | None = None,
    rings: Rings = lambda: None,
    wall: float = 0.0,
    control: Callable[[Seats], Control] = NoControl,
    folder: Path | None = None,
) -> SocketFront:
    """Make a gateway at a port that is free, or at the sockets that systemd gives."""
    at = Listening(None, given) if given else Listening("127.0.0.1:0", {}, folder=folder)
    clock = asyncio.get_running_loop().time
    return SocketFront(at, (clock, lambda: wall), rings, control, finish)


@asynccontextmanager
async def standing(finish: float = WITHIN, rings: Rings = lambda: None) -> AsyncIterator[Stand]:
    front = a_front(finish, rings=rings)
    front.doors.route(ROUTES)
    async with (
        front.opened() as (address,),
        httpx.AsyncClient(base_url=f"http://{address}", timeout=WITHIN) as client,
    ):
        yield Stand(front, address, client)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)
