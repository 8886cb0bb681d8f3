"""Call what may hang, such as a library of a device driver, and wait only so long for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Generic, TypeVar

import anyio
from anyio import from_thread, lowlevel

T = TypeVar("T")


class AbandonedThread(Generic[T]):
    """A call in a thread that is left alone after its deadline, and when the program ends."""

    def __init__(self, call: Callable[[], T]) -> None:
        """Take a `call` that answers whatever it finds and raises nothing."""
        self._call = call
        self._is_out = False

    async def answer(self, seconds: float) -> T:
        """Call, and wait for the answer.

        Raise TimeoutError after `seconds`, and at once while an earlier call has not come back.
        """
        # A library that hangs would otherwise take another thread at every look.
        if self._is_out:
            raise TimeoutError
        self._is_out = True
        answers: list[T] = []
        token, came = lowlevel.current_token(), anyio.Event()

        def work() -> None:
            self._answer_into(answers)
            with suppress(anyio.RunFinishedError):
                from_thread.run_sync(came.set, token=token)

        # A daemon: at its end Python waits for every other thread, and so would for one that hangs.
        Thread(target=work, name="reconciler aside", daemon=True).start()
        with anyio.fail_after(seconds):
            await came.wait()
        return answers[0]

    def _answer_into(self, answers: list[T]) -> None:
        try:
            answers.append(self._call())
        finally:
            self._is_out = False
