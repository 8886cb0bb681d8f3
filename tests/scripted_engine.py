"""An engine for the gateway that answers as a test says, on a port of the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

Script: TypeAlias = Callable[["Heard", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Heard:
    """One request as it arrived."""

    head: bytes
    body: bytes
    reader: asyncio.StreamReader


@dataclass
class ScriptedEngine:
    """Where it listens, what it heard, and how it answers."""

    script: Script
    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    gone: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while not writer.is_closing():
                    self.heard.append(await _read(reader))
                    await self.script(self.heard[-1], writer)
                    await writer.drain()
        except asyncio.CancelledError:
            # Closing would wait for a gateway that reads no more.
            writer.transport.abort()
            raise
        finally:
            self.gone += 1
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Heard:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    return Heard(head, await reader.readexactly(length), reader)


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine(script)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(engine.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    engine.port = server.sockets[0].getsockname()[1]
    try:
        yield engine
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answers(heard: Heard, writer: asyncio.StreamWriter) -> None:
    """Answer with what was asked."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: x\r\nKeep-Alive: timeout=5"
        b"\r\nAccess-Control-Allow-Origin: https://a.page\r\nAccess-Control-Allow-Credentials: true"
    )
    writer.write(head + b"\r\nContent-Length: %d\r\n\r\n" % len(heard.body) + heard.body)


async def streams(_: Heard, writer: asyncio.StreamWriter) -> None:
    """Answer with three events."""
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for number in range(3):
        event = b"data: %d\n\n" % number
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
