"""Answering: what a request on its way is answered through, whoever reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from reconciler.gateway.answer_head import AnswerHead
    from reconciler.gateway.counts import Passage
    from reconciler.gateway.engine import EngineConnection
    from reconciler.gateway.head import Refusal
    from reconciler.gateway.naming import Spoken


class Answering(Protocol):
    """The way back to a client; each answer is a head, pieces and an end, or a refusal."""

    @property
    def passage(self) -> Passage:
        """What is counted of the request."""
        ...

    def gather(self) -> None:
        """Keep what is written from now on."""

    def flush(self) -> None:
        """Send what was kept, at once, and whatever follows as it comes."""

    def answer(self, status: int, reason: bytes, lines: bytes, length: bytes | None = None) -> None:
        """Write the head of an answer, with the lines of its fields.

        The length of its body, which they do not tell, decides how the pieces of that are framed;
        None where it is not known.
        """

    def write_piece(self, piece: bytes) -> None:
        """Write a piece of a body."""

    def end_body(self) -> None:
        """End the body, and with it the answer."""

    def join(self, engine: EngineConnection, head: AnswerHead, first: bytes) -> None:
        """Answer that another protocol is spoken from here on, and let all bytes through."""

    def tell(self, content: bytes) -> None:
        """Answer with JSON of the gateway's own."""

    def refuse(self, refusal: Refusal, spoken: Spoken) -> None:
        """Answer with an error, in the words of a protocol."""

    def abort(self) -> None:
        """Cut the connection: the answer cannot be ended properly."""


class Underway(Protocol):
    """A request that is being answered."""

    def begin(self) -> None:
        """Answer it, or begin to."""

    def pause(self, *, paused: bool) -> None:
        """Let the answer wait for a client that reads more slowly, or go on."""

    def cancel(self) -> None:
        """End it because the client has gone."""

    @property
    def is_endless(self) -> bool:
        """Whether the answer never ends by itself."""
        ...

    @property
    def lasts(self) -> bool:
        """Whether it may go on for so long that its key is looked at again."""
        ...

    def cut(self, why: Refusal) -> None:
        """End it, and tell the client why."""
