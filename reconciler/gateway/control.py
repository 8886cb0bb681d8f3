"""Control: requests that no engine answers, but what keeps the hosts."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import parse_qsl

from reconciler.gateway.allowance import Allotment, Allowance
from reconciler.gateway.head import lines_of
from reconciler.gateway.signs_of_life import EVENT_STREAM
from reconciler.gateway.wording import COMMENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from reconciler.gateway.answering import Answering
    from reconciler.gateway.head import Field, Refusal
    from reconciler.gateway.judged import AdmittedRequest
    from reconciler.gateway.keys import Requester
    from reconciler.gateway.routes import Entrance

LAST_EVENT = b"last-event-id"
BEAT = COMMENT + b"\n"
"""What shows among events that the stream lives."""


class ControlRequest(NamedTuple):
    """What is asked: what the path names, the query, a body, and the event that was read last."""

    entrance: Entrance
    named: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    requester: Requester
    last_event: str = ""


class ControlReply(NamedTuple):
    """An answer: a body, or events that come one after the other."""

    status: int
    body: bytes = b""
    fields: tuple[Field, ...] = ()
    events: AsyncIterator[bytes] | None = None


class Control(Protocol):
    """What keeps the hosts, as requests reach it."""

    async def answer(self, asked: ControlRequest) -> ControlReply:
        """Answer; it never raises."""
        ...


class Answers(NamedTuple):
    """What answers, and how much of it one key may have under way."""

    control: Control
    allowance: Allowance


class ControlExchange:
    """One request for what keeps the hosts."""

    def __init__(
        self, client: Answering, admitted: AdmittedRequest, body: bytes, answers: Answers
    ) -> None:
        """Take who asks what, and what answers that, with the allowance of their key."""
        self._client, self._admitted, self._body = client, admitted, body
        self._control, self._spoken = answers.control, admitted.entered.entrance.spoken
        self._allotment = Allotment(admitted.requester, answers.allowance)
        self._task: asyncio.Task[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._has_head = self.is_endless = False

    def begin(self) -> None:
        """Have it answered, beside all else."""
        refusal = self._allotment.take(waits=False)
        if refusal is not None:
            self._client.refuse(refusal, self._spoken)
            return
        self._task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        try:
            await self._answered()
        finally:
            self._allotment.end()
        self._client.end_body()

    async def _answered(self) -> None:
        reply = await self._control.answer(self._asked())
        self._has_head = True
        if reply.events is None:
            self._tell(reply)
        elif self._admitted.request.method == "HEAD":
            self._client.answer(reply.status, b"OK", EVENT_STREAM)
        else:
            self.is_endless = True
            self._client.answer(reply.status, b"OK", EVENT_STREAM)
            await self._pass_on(reply.events)

    def _tell(self, reply: ControlReply) -> None:
        reason, length = HTTPStatus(reply.status).phrase.encode(), b"%d" % len(reply.body)
        self._client.answer(reply.status, reason, lines_of(reply.fields), length)
        self._client.write_piece(reply.body)

    async def _pass_on(self, events: AsyncIterator[bytes]) -> None:
        # What is read of the journal waits for who reads it here: nothing piles up between.
        async for event in events:
            await self._may_write.wait()
            self._client.write_piece(event)

    def _asked(self) -> ControlRequest:
        request, entered = self._admitted.request, self._admitted.entered
        query = request.target.decode().partition("?")[2]
        last = (value for name, value in request.fields if name.lower() == LAST_EVENT)
        return ControlRequest(
            entered.entrance,
            entered.named,
            dict(parse_qsl(query, keep_blank_values=True)),
            self._body,
            self._admitted.requester,
            next(last, b"").decode("latin-1"),
        )

    def pause(self, *, paused: bool) -> None:
        """Let events wait for a client that reads more slowly."""
        (self._may_write.clear if paused else self._may_write.set)()

    def cancel(self) -> None:
        """End it because the client has gone; what was begun goes on."""
        if self._task is not None:
            self._task.cancel()

    @property
    def lasts(self) -> bool:
        """Whether it is followed."""
        return self.is_endless

    def cut(self, why: Refusal) -> None:
        """End it."""
        self.cancel()
        if self._has_head:
            self._client.end_body()
        else:
            self._client.refuse(why, self._spoken)
