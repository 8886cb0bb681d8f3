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
    """Questions that are collected until the event loop turns, and then asked at once."""

    def __init__(
        self, ask: Callable[[Sequence[Question]], Awaitable[tuple[Answer, ...]]], given_up: Answer
    ) -> None:
        """Take what makes a round trip, and the answer to all if that is cancelled."""
        self._ask = ask
        self._given_up = given_up
        self._open: Batch[Question, Answer] | None = None

    async def ask(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """Answer all questions, in order."""
        is_first = self._open is None
        batch = self._open = self._open or Batch[Question, Answer]()
        begin = len(batch.questions)
        batch.questions += questions
        if is_first:
            await self._go(batch)
        else:
            await batch.done.wait()
        return batch.answers[begin : begin + len(questions)]

    async def _go(self, batch: Batch[Question, Answer]) -> None:
        try:
            await anyio.lowlevel.checkpoint()
            self._open = None
            batch.answers = await self._ask(batch.questions)
        finally:
            # The first may be cancelled at its checkpoint; the others would wait for it for ever,
            # and those to come would join a batch that is never asked.
            if self._open is batch:
                self._open = None
            batch.answers = batch.answers or (self._given_up,) * len(batch.questions)
            batch.done.set()
