"""Small HTTP servers of this process, on the loopback, that lie, stall or stand in the way."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from reconciler.drivers.engines.llama.engine import LlamaEngine
from reconciler.edge.http import HttpClient
from reconciler.edge.http_reply import HttpFault
from reconciler.model.facts import Mark, Unit, UnitIdentity
from reconciler.onhost import process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.rig import Rig

Lie: TypeAlias = Callable[[str, str, bytes], Awaitable[tuple[int, bytes]]]
"""Takes method, path with query, and body; gives status and body."""

DEADLINE = 60.0


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    body: bytes


def always(status: int, content: object) -> Lie:
    """Give the same answer to everything."""

    async def lie(_method: str, _path: str, _body: bytes) -> tuple[int, bytes]:
        return status, content if isinstance(content, bytes) else json.dumps(content).encode()

    return lie


def routes(answers: dict[str, tuple[int, object]]) -> Lie:
    """Answer known paths, 404 elsewhere."""

    async def lie(_method: str, path: str, _body: bytes) -> tuple[int, bytes]:
        status, content = answers.get(
            path.partition("?")[0], (404, {"error": {"message": "File Not Found"}})
        )
        return status, json.dumps(content).encode()

    return lie


async def never(_method: str, _path: str, _body: bytes) -> tuple[int, bytes]:
    """Take every request and answer none."""
    await asyncio.Event().wait()
    raise AssertionError


def before(
    port: int, lies: Callable[[str, str], Lie | None], seen: list[Asked] | None = None
) -> Lie:
    """Pass everything on to the server at `port`, except what `lies` has another answer for."""

    async def lie(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if seen is not None:
            seen.append(Asked(method, path, body))
        other = lies(method, path)
        if other is not None:
            return await other(method, path, body)
        client, url = HttpClient(), f"http://127.0.0.1:{port}{path}"
        reply = await (
            client.get(url, DEADLINE)
            if method == "GET"
            else client.post(url, json.loads(body), DEADLINE)
        )
        return reply.status, reply.body

    return lie


@asynccontextmanager
async def lying(lie: Lie) -> AsyncIterator[int]:
    """Serve a lie and give its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(
            ConnectionError, HttpFault, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            sizes = [
                int(line.split(":")[1])
                for line in head
                if line.lower().startswith("content-length:")
            ]
            status, content = await lie(method, path, await reader.readexactly(sum(sizes)))
            writer.write(
                b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                % (status, len(content))
            )
            writer.write(content)
            await writer.drain()
        writer.close()

    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def this_process(digest: str, **changed: Any) -> Unit:
    """Describe this process as a unit, so that what it listens on is its own."""
    identity = UnitIdentity.model_validate(process.identity(os.getpid()))
    mark = Mark(controller="c", model="m", digest=digest)
    return Unit(
        **{"identity": identity, "mark": mark, "members": (os.getpid(),), "uptime": 1.0, **changed}
    )


def with_this_process(unit: Unit) -> Unit:
    """Let this process listen in the unit's name."""
    return unit.model_copy(update={"members": (*unit.members, os.getpid())})


def behind(model: Rig, port: int) -> LlamaEngine:
    """Define the same engine as seen through another port."""
    seen = model.model.model_copy(update={"port": port})
    return LlamaEngine(model.engine.setup, seen, model.access, time.time)
