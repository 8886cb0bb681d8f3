"""Judged: what becomes of a request, as that is settled when its head is there."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.gateway.head import Refusal, Request
from reconciler.gateway.keys import Requester
from reconciler.gateway.naming import Spoken
from reconciler.gateway.routes import Entered
from reconciler.model.gateway import LARGEST_BODY

NAME = b"X-Request-ID: %b\r\n"
ANTHROPICS = b"request-id: %b\r\n"
"""Where clients look for the name of their request, and Anthropic's SDK does."""

UNAUTHORIZED = 401
UNAUTHORIZED_SECONDS = 0.05
"""How long who sends no right key waits for that answer."""


class AdmittedRequest(NamedTuple):
    """A request that may come in: where to, and who asks."""

    request: Request
    entered: Entered
    requester: Requester

    @property
    def may_upgrade(self) -> bool:
        """Whether another protocol is spoken from here on, if the engine does."""
        return self.request.upgrades and self.entered.entrance.answer == "upstream"


class Judged(NamedTuple):
    """What becomes of a request, and what its answer says beside.

    `name` is what it is called; `spoken` is the protocol for errors; `let` are the lines by which
    a page of another origin may read the answer; `closes` where what follows cannot be told from
    it; `is_head` where an answer has no body; `largest` is how many bytes its own may have;
    `length` how many it has by its head, None where it comes in chunks.
    """

    found: AdmittedRequest | Refusal
    name: bytes
    spoken: Spoken = "openai"
    let: bytes = b""
    closes: bool = False
    is_head: bool = False
    largest: int = LARGEST_BODY
    length: int | None = None

    def again(self, name: bytes, length: int) -> Judged:
        """The same of another request, by its name and the length of its body."""
        found, _, spoken, let, closes, is_head, largest, _ = self
        return Judged(found, name, spoken, let, closes, is_head, largest, length)

    @property
    def lines(self) -> bytes:
        """What its answer says beside what the engine says, as it is written."""
        name = ANTHROPICS % self.name if self.spoken == "anthropic" else b""
        return NAME % self.name + name + self.let

    @property
    def delay(self) -> float:
        """How long the answer is kept back."""
        is_unknown = isinstance(self.found, Refusal) and self.found.status == UNAUTHORIZED
        return UNAUTHORIZED_SECONDS if is_unknown else 0.0
