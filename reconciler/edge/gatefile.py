"""Gate file: what the gateway of another process does for a host, asked over its control socket.

So a plan that is made beside a running `serve` is made from what that one sees.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from pydantic import ValidationError

from reconciler.edge import control_socket
from reconciler.model.facts import Fact, Known, Unknown
from reconciler.model.traffic import Admitting, GateDocument, Traffic

ASK = "GET /api/v1/gate/{host} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
WITHIN_SECONDS = 5.0
FRESH_SECONDS = 0.05
"""How long an answer serves: a look asks for each model at once, and a drain looks again."""

OK = b" 200 "


def gate_of(folder: Path, host: str) -> GateFile | None:
    """The gate of a host, None where no process has one."""
    try:
        control_socket.connected(folder).close()
    except OSError:
        return None
    return GateFile(folder, host)


class GateFile:
    """The gate of one host, read through a data directory's control socket."""

    def __init__(self, folder: Path, host: str) -> None:
        self._folder, self._host = folder, host
        self._turn = asyncio.Lock()
        self._told: GateDocument | str = ""
        self._at = -FRESH_SECONDS

    async def admitting(self, model_name: str) -> Fact[Admitting]:
        """Which unit requests for a model may reach."""
        told = await self._asked()
        if isinstance(told, str):
            return Unknown(told)
        return Known(told.admitting.get(model_name, Admitting()))

    async def traffic(self, model_name: str) -> Fact[Traffic]:
        """How many requests for a model are under way."""
        told = await self._asked()
        if isinstance(told, str):
            return Unknown(told)
        return Known(told.traffic.get(model_name, Traffic()))

    async def _asked(self) -> GateDocument | str:
        """What the gateway says, or why it says nothing."""
        async with self._turn:
            if time.monotonic() - self._at > FRESH_SECONDS:
                self._told = await self._answer()
                self._at = time.monotonic()
        return self._told

    async def _answer(self) -> GateDocument | str:
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                head, _, body = (await self._exchanged()).partition(b"\r\n\r\n")
            if OK not in head.partition(b"\r\n")[0]:
                return f"the gateway does not tell of its gates: {body.decode(errors='replace')}"
            return GateDocument.model_validate_json(body)
        except (OSError, ValidationError) as error:
            why = str(error) or f"nothing within {WITHIN_SECONDS:g} s"
            return f"the gateway at {self._folder}/{control_socket.NAME} does not answer: {why}"

    async def _exchanged(self) -> bytes:
        made = control_socket.connected(self._folder)
        reader, writer = await asyncio.open_connection(sock=made)
        try:
            writer.write(ASK.format(host=self._host).encode())
            # It ends with the connection, which is what was asked for.
            return await reader.read()
        finally:
            writer.close()
