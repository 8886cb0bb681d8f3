"""Telling: requests that are answered at once, by what the gateway knows itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from reconciler.gateway.beckoning import Beckoning
from reconciler.gateway.head import Refusal
from reconciler.gateway.listing import listing, props, running
from reconciler.gateway.routes import Answer
from reconciler.gateway.routing import routing

if TYPE_CHECKING:
    from reconciler.gateway.answering import Answering
    from reconciler.gateway.judged import AdmittedRequest
    from reconciler.gateway.listing import ListedModel
    from reconciler.gateway.seats import Seats

ALIVE = b'{"status": "ok"}'
"""What llama.cpp answers at /health."""

DONE = b'{"success": true}'
"""What its router answers where a model is to be loaded."""


class Telling:
    """One such request: it is over when it has begun."""

    is_endless = lasts = False

    def __init__(
        self, client: Answering, admitted: AdmittedRequest, body: bytes, seats: Seats
    ) -> None:
        self._client, self._body, self._seats = client, body, seats
        self._request, self._entered, self._requester = admitted

    def begin(self) -> None:
        """Answer it."""
        entrance = self._entered.entrance
        if entrance.answer in BARE:
            BARE[entrance.answer](self)
            self._client.end_body()
            return
        told = TOLD[entrance.answer](self)
        if isinstance(told, Refusal):
            self._client.refuse(told, entrance.spoken)
        else:
            self._client.tell(told)

    def _preflight(self) -> None:
        # What a page may is said by the fields of every answer to it.
        self._client.answer(HTTPStatus.NO_CONTENT, b"No Content", b"")

    def _moved(self) -> None:
        path, mark, query = self._request.target.partition(b"?")
        line = b"Location: %b/%b%b\r\n" % (path, mark, query)
        self._client.answer(HTTPStatus.TEMPORARY_REDIRECT, b"Temporary Redirect", line, b"0")

    def _models(self) -> bytes | Refusal:
        if self._requester.wakes_by_listing:
            for seat in self._seats.resting():
                if self._requester.may_use(seat.route.model):
                    Beckoning(seat, self._requester.name, self._client.passage.identity).begin()
        name = self._entered.named.get("model")
        return listing(self._request, name, self._listed(), self._seats.began)

    def _props(self) -> bytes:
        return props(brings_in=self._seats.brings_in)

    def _running(self) -> bytes:
        return running(self._listed())

    def _listed(self) -> list[ListedModel]:
        return [one for one in self._seats.listed() if self._requester.may_use(one.name)]

    def _load(self) -> bytes | Refusal:
        found = routing(self._request, self._entered, self._body)
        if isinstance(found, Refusal):
            return found
        seat = self._seats.sought(found.model, self._requester)
        if isinstance(seat, Refusal):
            return seat
        Beckoning(seat, self._requester.name, self._client.passage.identity).begin()
        return DONE

    def _alive(self) -> bytes:
        return ALIVE

    def _ready(self) -> bytes | Refusal:
        note = self._seats.note
        told = json.dumps({"status": "ok", "note": note}).encode() if note else ALIVE
        return self._seats.readiness() or told

    def pause(self, *, paused: bool) -> None:
        """Do nothing: all was said at once."""

    def cancel(self) -> None:
        """Do nothing."""

    def cut(self, why: Refusal) -> None:
        """Do nothing."""


BARE: Mapping[Answer, Callable[[Telling], None]] = {
    "preflight": Telling._preflight,  # noqa: SLF001 - this is its own table
    "moved": Telling._moved,  # noqa: SLF001
}
TOLD: Mapping[Answer, Callable[[Telling], bytes | Refusal]] = {
    "models": Telling._models,  # noqa: SLF001 - this is its own table
    "props": Telling._props,  # noqa: SLF001
    "running": Telling._running,  # noqa: SLF001
    "load": Telling._load,  # noqa: SLF001
    "alive": Telling._alive,  # noqa: SLF001
    "ready": Telling._ready,  # noqa: SLF001
}
