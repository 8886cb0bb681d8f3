"""Put questions that several ask at the same moment into one round trip."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batch(Generic[Question, Answer]):
    """One round trip: its questions, and their answers once `done` is set."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.answers: tuple[Answer, ...] = ()
        self.done = anyio.Event()


class Batcher(Generic[Question, Answer]):
    """Ask at once for all who come before the event loop turns."""

    def __init__(
        self, ask: Callable[[Sequence[Question]], Awaitable[tuple[Answer, ...]]], given_up: Answer
    ) -> None:
        """Take what makes a round trip, and the answer to all when whoever makes it is cancelled."""
        self._ask = ask
        self._given_up = given_up
        self._open: Batch[Question, Answer] | None = None

    async def ask(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """Answer all questions, in order."""
        mine, first = self._open or Batch[Question, Answer](), self._open is None
        self._open = mine
        begin = len(mine.questions)
        mine.questions += questions
        if first:
            await self._go(mine)
        else:
            await mine.done.wait()
        return mine.answers[begin : begin + len(questions)]

    async def _go(self, mine: Batch[Question, Answer]) -> None:
        try:
            await anyio.lowlevel.checkpoint()
            self._open = None
            mine.answers = await self._ask(mine.questions)
        finally:
            self._open = None if self._open is mine else self._open
            mine.answers = mine.answers or (self._given_up,) * len(mine.questions)
            mine.done.set()
