"""States: how far each model is, whenever that changes, for who may list models.

In the form of llama.cpp's router (b11549), or in that of llama-swap: all models at each change.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from reconciler.gateway.control import ControlReply, ControlRequest
from reconciler.gateway.listing import STATES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from reconciler.gateway.keys import Requester
    from reconciler.gateway.listing import Residency
    from reconciler.gateway.seats import Seats

LOOK_SECONDS = 0.25
BEAT_LOOKS = 40
"""After so many looks without a change a comment shows that the stream lives."""

BEAT = b": keepalive\n\n"
SWAP = "/api/events"
"""Where llama-swap tells it, and its word for a model that is not there."""

STOPPED = "stopped"


class StateChanges:
    """The changes from now on, for who may list models."""

    def __init__(self, seats: Seats) -> None:
        self._seats = seats

    async def answer(self, asked: ControlRequest) -> ControlReply:
        """Answer with events that do not end."""
        told = self._swaps if asked.entrance.shape == SWAP else self._changes
        return ControlReply(200, events=told(asked.requester))

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

    async def _swaps(self, requester: Requester) -> AsyncIterator[bytes]:
        before: Mapping[str, Residency] | None = None
        looks = 0
        while True:
            now = self._now(requester)
            if now != before:
                yield _swap(now)
            looks = looks + 1 if now == before else 0
            before = now
            if looks == BEAT_LOOKS:
                looks = 0
                yield BEAT
            await asyncio.sleep(LOOK_SECONDS)

    def _now(self, requester: Requester) -> Mapping[str, Residency]:
        models = (one for one in self._seats.listed() if requester.may_use(one.name))
        return {one.name: one.residency for one in models}


def _swap(states: Mapping[str, Residency]) -> bytes:
    models = [
        {"id": name, "name": name, "description": "", "state": STATES.get(state, STOPPED)}
        for name, state in states.items()
    ]
    # Its data is text inside of JSON.
    told = {"type": "modelStatus", "data": json.dumps(models)}
    return f"event: message\ndata: {json.dumps(told)}\n\n".encode()


def _event(name: str, state: Residency) -> bytes:
    told = {"model": name, "event": "status_change", "data": {"status": state}}
    return f"data: {json.dumps(told)}\n\n".encode()
