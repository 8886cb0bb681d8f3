"""Signs of life: what a client that streams gets while nothing else comes, whoever it waits for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reconciler.gateway.wording import keep_alive

if TYPE_CHECKING:
    from reconciler.gateway.answering import Answering
    from reconciler.gateway.naming import Spoken

HEAD_SECONDS = 5.0
BEAT_SECONDS = 10.0
"""Browsers, proxies and SDKs take 10 s without a byte, and 25 s of silence, for the end."""

EVENT_STREAM = (
    b"Content-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"
)
ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
"""What an event ends with: nothing may stand inside one."""

LONGEST_END = 4


class SignsOfLife:
    """The signs that one client gets, from its request to the end of its answer.

    An engine says nothing, not even that it will answer, while it reads a long prompt.
    """

    __slots__ = ("_client", "_has_head", "_is_heard", "_spoken", "_tail", "_timer", "has_answered")

    def __init__(self, client: Answering, spoken: Spoken) -> None:
        self._client, self._spoken = client, spoken
        self._timer: asyncio.TimerHandle | None = None
        self._tail = b""
        self._is_heard = self._has_head = False
        self.has_answered = False
        """Whether the head of the answer is that of these signs, not the engine's."""

    def begin(self) -> None:
        """Give them from now on."""
        self._timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._beat)

    def head_passed(self) -> None:
        """Take that the client has the head of the engine's own stream."""
        self._has_head = True

    def heard(self, piece: bytes) -> None:
        """Take that the client got a piece of its stream."""
        self._is_heard = True
        self._tail = (piece if len(piece) >= LONGEST_END else self._tail + piece)[-LONGEST_END:]

    @property
    def is_between(self) -> bool:
        """Whether the client is inside no event."""
        return not self._tail or self._tail.endswith(ENDS)

    def end(self) -> None:
        """Give no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        if not self._has_head:
            self._client.answer(200, b"OK", EVENT_STREAM)
            self._has_head = self.has_answered = True
        # One timer looks back now and then: a timer for each piece would cost more than the piece.
        if self.is_between and not self._is_heard:
            self._client.write_piece(keep_alive(self._spoken))
        self._is_heard = False
        self._timer = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)
