"""States: how far each model is, whenever that changes, for who may list models.

In the form of llama.cpp's router (b11549), or in that of llama-swap: all models at each change.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, TypeAlias

from reconciler.gateway.control import BEAT, ControlReply, ControlRequest
from reconciler.gateway.listing import STATES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from reconciler.gateway.keys import Requester
    from reconciler.gateway.listing import Residency
    from reconciler.gateway.seats import Seats

LOOK_SECONDS = 0.25
BEAT_LOOKS = 40
"""After so many looks without a change a comment shows that the stream lives."""

SWAP = "/api/events"
"""Where llama-swap tells it."""

STOPPED = "stopped"
"""Its word for a model that is not there."""

States: TypeAlias = "Mapping[str, Residency]"


class StateChanges:
    """The changes from now on, for who may list models."""

    def __init__(self, seats: Seats) -> None:
        self._seats = seats

    async def answer(self, asked: ControlRequest) -> ControlReply:
        """Answer with events that do not end."""
        form = _as_llama_swap if asked.entrance.shape == SWAP else _as_router
        return ControlReply(200, events=self._changes(asked.requester, form))

    async def _changes(
        self, requester: Requester, form: Callable[[States | None, States], Iterator[bytes]]
    ) -> AsyncIterator[bytes]:
        before: States | None = None
        looks = 0
        while True:
            now = self._now(requester)
            for event in form(before, now):
                yield event
            looks = looks + 1 if now == before else 0
            before = now
            if looks == BEAT_LOOKS:
                looks = 0
                yield BEAT
            await asyncio.sleep(LOOK_SECONDS)

    def _now(self, requester: Requester) -> States:
        models = (one for one in self._seats.listed() if requester.may_use(one.name))
        return {one.name: one.residency for one in models}


def _as_router(before: States | None, now: States) -> Iterator[bytes]:
    """Yield an event for each change; how all are at first is not told."""
    if before is None:
        yield BEAT
        return
    for name, state in now.items():
        if state != before.get(name):
            told = {"model": name, "event": "status_change", "data": {"status": state}}
            yield f"data: {json.dumps(told)}\n\n".encode()


def _as_llama_swap(before: States | None, now: States) -> Iterator[bytes]:
    """Yield how all are, at first and at each change."""
    if now == before:
        return
    models = [
        {"id": name, "name": name, "description": "", "state": STATES.get(state, STOPPED)}
        for name, state in now.items()
    ]
    # Its data is text inside of JSON.
    told = {"type": "modelStatus", "data": json.dumps(models)}
    yield f"event: message\ndata: {json.dumps(told)}\n\n".encode()
