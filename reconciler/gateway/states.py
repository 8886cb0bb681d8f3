"""States: how far each model is, whenever that changes, as llama.cpp's router tells it (b11549)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from reconciler.gateway.control import ControlReply, ControlRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from reconciler.gateway.keys import Requester
    from reconciler.gateway.listing import Residency
    from reconciler.gateway.seats import Seats

LOOK_SECONDS = 0.25
BEAT_LOOKS = 40
"""After so many looks without a change a comment shows that the stream lives."""

BEAT = b": keepalive\n\n"


class StateChanges:
    """The changes from now on, for who may list models."""

    def __init__(self, seats: Seats) -> None:
        self._seats = seats

    async def answer(self, asked: ControlRequest) -> ControlReply:
        """Answer with events that do not end."""
        return ControlReply(200, events=self._changes(asked.requester))

    async def _changes(self, requester: Requester) -> AsyncIterator[bytes]:
        yield BEAT
        before, looks = self._now(requester), 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self._now(requester)
            for name, state in now.items():
                if state != before.get(name):
                    yield _event(name, state)
            looks = looks + 1 if now == before else 0
            before = now
            if looks == BEAT_LOOKS:
                looks = 0
                yield BEAT

    def _now(self, requester: Requester) -> Mapping[str, Residency]:
        models = (one for one in self._seats.listed() if requester.may_use(one.name))
        return {one.name: one.residency for one in models}


def _event(name: str, state: Residency) -> bytes:
    told = {"model": name, "event": "status_change", "data": {"status": state}}
    return f"data: {json.dumps(told)}\n\n".encode()
